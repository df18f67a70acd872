import asyncio

import aiohttp
import pytest

from services.cli.show.meter import MetricsUnavailable, ScrapingMeter
from services.cli.show.outcomes import Traffic
from services.worker.metrics import WorkerMetrics
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.runtime.health import health_app
from shared.runtime.http import serve
from shared.runtime.metrics import Metrics


def step(kind: StepKind, lane: Lane) -> Step:
    return Step(id="1", kind=kind, lane=lane, reference="a/b:1", question=Question(), first_seen=0)


async def test_the_counters_of_all_workers_are_added_up() -> None:
    first, second = Metrics(), Metrics()
    workers = WorkerMetrics(first), WorkerMetrics(second)
    for worker in workers:
        worker.step(step(StepKind.REQUEST, Lane.ADMISSION), "done")
        worker.call("check", "200", 0.1)
    workers[0].call("check", "timeout", 0.1)
    workers[1].step(step(StepKind.CHECK, Lane.CHECK), "retried")
    stopping = asyncio.Event()
    async with (
        serve(health_app(ready={}, metrics=first, stopping=stopping)) as one,
        serve(health_app(ready={}, metrics=second, stopping=stopping)) as two,
        aiohttp.ClientSession() as session,
    ):
        traffic = await ScrapingMeter(urls=[one.url, two.url], session=session).traffic()
    assert traffic.steps == {"check in lane check, retried": 1, "request in lane admission": 2}
    assert traffic.calls == {"check": 2, "check, timeout": 1}


async def test_a_health_port_that_is_away_is_named() -> None:
    async with aiohttp.ClientSession() as session:
        meter = ScrapingMeter(urls=["http://127.0.0.1:1"], session=session)
        with pytest.raises(MetricsUnavailable, match=r"127\.0\.0\.1:1/metrics"):
            await meter.traffic()


def test_what_was_added_leaves_out_what_stood_still() -> None:
    before = Traffic({"a": 1, "b": 2}, {"c": 3})
    assert Traffic({"a": 4, "b": 2}, {"c": 3, "d": 1}).since(before) == Traffic({"a": 3}, {"d": 1})
