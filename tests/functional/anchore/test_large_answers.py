"""Answers that are large are read beside the event loop: a step has two milliseconds of it
(docs/design/behaviour.md 5)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from shared.adapters.anchore.detect import Api, DetectedAnchore, Detection
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.verdict import Outcome, Question, Subject, judge
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_wire import NO_HEALTHCHECK
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import NOW, QUICK

DIGEST = "sha256:" + "a" * 64
APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")
MINE = Question()

DECODED_AND_JUDGED = 2
"""What is to be done with an evaluation."""


class Beside(ThreadPoolExecutor):
    """Counts what the event loop hands on."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self.tasks += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
async def beside() -> Beside:
    executor = Beside()
    asyncio.get_running_loop().set_default_executor(executor)
    return executor


@pytest.fixture(params=["v1", "v2"])
async def anchore(request: pytest.FixtureRequest) -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore(api=request.param) as fake:
        fake.store.know(DIGEST, APP.scan_tag)
        yield fake


async def evaluated(anchore: FakeAnchore) -> Outcome:
    known = Api(anchore.speech.api)
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=QUICK
    ) as transport:
        detection = Detection(transport=transport, known=known)
        scanner = DetectedAnchore(
            detection=detection, transport=transport, clock=FakeClock(now=NOW)
        )
        return judge(APP, MINE, await scanner.evaluate(APP, MINE)).outcome


async def test_one_of_thousands_of_findings_is_read_and_judged_beside_the_loop(
    anchore: FakeAnchore, beside: Beside
) -> None:
    anchore.store.decide(DIGEST, "warn", rows=[NO_HEALTHCHECK] * 2_000)
    before = beside.tasks
    assert await evaluated(anchore) is Outcome.PASS
    assert beside.tasks - before >= DECODED_AND_JUDGED


async def test_a_usual_one_is_not_worth_a_thread(anchore: FakeAnchore, beside: Beside) -> None:
    before = beside.tasks
    assert await evaluated(anchore) is Outcome.PASS
    assert beside.tasks == before
