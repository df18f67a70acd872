"""Who waits for an unknown image, how long, and what those are told who need not wait any more
(docs/design/behaviour.md 1 and 3)."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.domain.rules import Mode
from tests.fakes.images import tiny_image
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.functional.test_decision_records import count
from tests.house import (
    CONTROLLER,
    LONG,
    PATIENT_SERVER,
    PERSON,
    SHORT,
    Answer,
    House,
    house,
    in_time,
    pod,
    review_of,
)
from tests.waiting import eventually

CI = "gitlab-runner"
SERVICE_ACCOUNT = "system:serviceaccount:ci:deployer"


def push(home: House, name: str = "team/app:1") -> str:
    return str(home.registry.put(tiny_image(config={"Labels": {"name": name}}), name))


async def timed(answering: Awaitable[Answer]) -> tuple[float, Answer]:
    """Seconds until the answer, and it."""
    began = time.monotonic()
    answer = await answering
    return time.monotonic() - began, answer


async def waiting(home: House) -> float:
    return count(await home.metrics(), "imagegate_reviews_waiting")


async def test_people_and_ci_wait_longer_than_controllers_and_service_accounts(
    tmp_path: Path,
) -> None:
    longer, shorter = (PERSON, CI), (CONTROLLER, SERVICE_ACCOUNT)
    async with house(tmp_path, analysis_seconds=None, wait=4.0) as home:
        ends = {
            user: asyncio.create_task(
                timed(home.review(push(home, f"team/{name}:1"), user=user, timeout=PATIENT_SERVER))
            )
            for name, user in zip("abcd", longer + shorter, strict=True)
        }
        await asyncio.wait([ends[user] for user in shorter])
        assert not any(ends[user].done() for user in longer)
        for user, end in ends.items():
            seconds, answer = await end
            assert seconds > (3.9 if user in longer else 0.45)
            assert answer.code == 429
            retry = answer.response["status"].get("details", {}).get("retryAfterSeconds", 0)
            assert bool(retry) is (user in longer)


async def test_what_cannot_be_denied_for_want_of_a_verdict_does_not_wait(tmp_path: Path) -> None:
    for mode in (Mode.WARN, Mode.AUDIT):
        async with house(tmp_path / mode, mode=mode, analysis_seconds=None, wait=LONG) as home:
            seconds, answer = await timed(home.review(push(home), timeout=PATIENT_SERVER))
            assert (answer.allowed, seconds < SHORT) == (True, True)
    async with house(tmp_path / "enforce", analysis_seconds=None, wait=LONG) as home:
        seconds, answer = await timed(home.review(push(home), dry_run=True, timeout=PATIENT_SERVER))
        assert (answer.allowed, seconds < SHORT) == (True, True)
        content = workload(DEPLOYMENT, pod(push(home))["spec"])
        for _ in range(2):
            seconds, answer = await timed(
                home.ask(review_of_workload(DEPLOYMENT, content), timeout=PATIENT_SERVER)
            )
            assert (answer.allowed, seconds < SHORT) == (True, True)


@pytest.mark.parametrize(("query", "longest"), [("timeout=1s", 1.0), ("timeout=1500ms", 1.5)])
async def test_the_whole_answer_is_inside_the_api_servers_timeout(
    tmp_path: Path, query: str, longest: float
) -> None:
    async with house(tmp_path, worker=False) as home:
        await home.ready()

        async def ask(number: int) -> Answer:
            body = json.dumps(review_of(pod(push(home, f"team/app:{number}")))).encode()
            return await home.post(body, query=query)

        assert (await in_time(ask, within=longest)).code == 429


async def test_nobody_waits_beyond_the_places_and_a_review_takes_one_whatever_it_waits_for(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, analysis_seconds=None, wait=LONG, max_waiters=2) as home:
        several = [push(home, f"team/app:{number}") for number in range(4)]
        first = asyncio.create_task(home.review(*several, timeout=PATIENT_SERVER))

        async def submitted(images: int) -> None:
            await eventually(lambda: sum(home.anchore.store.submits.values()) == images, within=30)

        await submitted(4)
        assert await waiting(home) == 1
        second = asyncio.create_task(
            home.review(push(home, "team/other:1"), timeout=PATIENT_SERVER)
        )

        async def both() -> bool:
            return await waiting(home) == 2

        await eventually(both)
        seconds, answer = await timed(
            home.review(push(home, "team/third:1"), timeout=PATIENT_SERVER)
        )
        assert (answer.code, seconds < SHORT) == (429, True)
        await submitted(6)
        for digest in list(home.anchore.store.submits):
            home.anchore.store.finish(digest)
        assert (await first).allowed
        assert (await second).allowed
        assert await waiting(home) == 0


@asynccontextmanager
async def half_a_call(home: House, review: dict[str, Any]) -> AsyncIterator[None]:
    """A client that has sent a review over a connection of its own, and is gone at the end."""
    host, port = home.sites.reviews.host, home.sites.reviews.port
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    body = json.dumps(review).encode()
    head = (
        f"POST /validate?timeout=30s HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    try:
        yield
    finally:
        writer.transport.abort()
        assert await reader.read() == b""


@pytest.mark.parametrize("images", [1, 3])
async def test_the_wait_of_a_client_that_is_gone_ends(tmp_path: Path, images: int) -> None:
    async with house(tmp_path, analysis_seconds=None, wait=LONG) as home:
        unknown = [push(home, f"team/app:{number}") for number in range(images)]

        async def nobody() -> bool:
            return await waiting(home) == 0

        async def one() -> bool:
            return await waiting(home) == 1

        async with half_a_call(home, review_of(pod(*unknown))):
            await eventually(one)
        await eventually(nobody, within=SHORT)
        text = await home.metrics()
        assert count(text, 'imagegate_reviews_total{allowed="false",state="pending"}') == 0
        assert count(text, 'imagegate_reviews_total{allowed="false",state="error"}') == 0


async def test_a_person_is_told_how_long_such_scans_take_once_that_was_measured(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, analysis_seconds=0.6, wait=LONG) as home:
        assert (await home.review(push(home, "team/first:1"), timeout=PATIENT_SERVER)).allowed
        text = await home.metrics()
        assert count(text, "imagegate_time_to_verdict_seconds_count") == 1
        measured = count(text, "imagegate_time_to_verdict_seconds_sum")
        assert 0.6 < measured < LONG
    async with house(tmp_path, analysis_seconds=None, wait=0.2) as home:
        slow = push(home, "team/slow:1")
        answer = await home.review(slow)
        assert answer.message.startswith(f"image {slow}: not judged yet, its scan is under way")
        assert "such scans take" not in answer.message
        assert answer.response["status"]["details"] == {"retryAfterSeconds": 2}
        await eventually(lambda: bool(home.anchore.store.submits))
        (digest,) = home.anchore.store.submits
        await asyncio.sleep(2.0)
        home.anchore.store.finish(digest)
        assert (await home.settled(slow)).allowed
        answer = await home.review(push(home, "team/next:1"))
        assert ", such scans take about " in answer.message
        assert answer.message.endswith(": try again")
        assert answer.response["status"]["details"] == {"retryAfterSeconds": 1}


async def test_what_is_asked_on_the_lane_of_pushes_is_not_measured(tmp_path: Path) -> None:
    async with house(tmp_path, mode=Mode.WARN) as home:
        image = push(home)
        await home.review(image)

        async def judged() -> bool:
            answer = await home.review(image)
            return bool(answer.response["auditAnnotations"]["decision"] == "pass")

        await eventually(judged)
        assert count(await home.metrics(), "imagegate_time_to_verdict_seconds_count") == 0


async def test_the_same_image_in_two_spellings_is_asked_for_once(tmp_path: Path) -> None:
    async with house(tmp_path, worker=False, wait=0.3) as home:
        short, whole = "nginx", "index.docker.io/library/nginx:latest"
        answer = await home.review(short, whole)
        assert answer.code == 429
        assert sorted(line.split(":")[0] for line in answer.message.split("\n")) == [
            "image index.docker.io/library/nginx",
            "image nginx",
        ]
        text = await home.metrics()
        assert count(text, 'imagegate_image_lookups_total{layer="queue"}') == 1
