import asyncio
from typing import Any

import aiohttp
import pytest

from shared.domain.errors import ImagegateError, StoreUnreachable
from shared.runtime.clock import SystemClock
from shared.runtime.health import Check, FirstTry, health_app
from shared.runtime.http import serve
from shared.runtime.metrics import Metrics


async def good() -> str:
    return "an answer"


async def down() -> None:
    raise StoreUnreachable("redis at 127.0.0.1 is down")


async def broken() -> None:
    raise KeyError("secret")


async def ask(
    path: str, checks: dict[str, Check], *, metrics: Metrics | None = None, stop: bool = False
) -> tuple[int, Any]:
    stopping = asyncio.Event()
    if stop:
        stopping.set()
    app = health_app(ready=checks, metrics=metrics or Metrics(), stopping=stopping)
    async with (
        serve(app) as bound,
        aiohttp.ClientSession() as session,
        session.get(f"{bound.url}{path}") as answer,
    ):
        is_json = answer.content_type == "application/json"
        return answer.status, await (answer.json() if is_json else answer.text())


async def test_a_process_whose_checks_pass_is_ready() -> None:
    assert await ask("/readyz", {"store": good}) == (200, {"ready": True, "reasons": {}})


async def test_a_process_is_not_ready_for_the_reasons_that_its_checks_give() -> None:
    status, body = await ask("/readyz", {"store": down, "queue": good, "scanner": broken})
    assert status == 503
    assert body["reasons"] == {"store": "redis at 127.0.0.1 is down", "scanner": "KeyError"}


async def test_a_stopping_process_is_not_ready_but_live() -> None:
    status, body = await ask("/readyz", {"store": good}, stop=True)
    assert (status, body["reasons"]) == (503, {"process": "stopping"})
    assert (await ask("/livez", {"store": down}, stop=True))[0] == 200


async def test_metrics_are_scraped_in_the_text_format() -> None:
    metrics = Metrics()
    metrics.counter("imagegate_reviews_total", "Reviews.", ["decision"]).add("allow")
    status, text = await ask("/metrics", {}, metrics=metrics)
    assert status == 200
    assert 'imagegate_reviews_total{decision="allow"} 1.0' in text


def test_the_systems_clock_counts_milliseconds_and_seconds() -> None:
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.now() < 9_999_999_999_999
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.virtual_time
async def test_a_first_try_is_over_when_each_dependency_was_asked_and_stays_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    async def answers() -> None:
        asked.append("answers")

    async def comes_late() -> None:
        asked.append("late")
        if asked.count("late") < 3:
            raise StoreUnreachable("not yet")

    async def is_away() -> None:
        raise StoreUnreachable("Redis is down")

    tried = FirstTry({"queue": answers, "anchore": comes_late, "store": is_away})
    with pytest.raises(ImagegateError):
        await tried.check()
    await tried.once()
    await tried.check()
    assert asked.count("answers") == 1
    assert asked.count("late") == 3
    assert [record.getMessage() for record in caplog.records] == [
        "store is away, going on without it: Redis is down"
    ]
