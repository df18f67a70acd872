"""Who waits for a namespace, and how many questions that may cost."""

import asyncio
from collections import Counter

import pytest

from shared.adapters.kubernetes.limits import MAX_WAITING, READS_A_SECOND, READS_SAVED
from shared.adapters.kubernetes.reading import Reads
from shared.ports.namespaces import ReadOutcome
from tests.fakes.clock import FakeClock
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

HOUR = 3_600_000


class Silent:
    """An API server that never answers."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked: list[str] = []
        self.outcomes: Counter[ReadOutcome] = Counter()

    def reads(self, *, patience: float) -> Reads:
        return Reads(
            ask=self._ask,
            clock=self.clock,
            patience=patience,
            on_read=lambda outcome: self.outcomes.update([outcome]),
        )

    async def _ask(self, name: str) -> ReadOutcome:
        self.asked.append(name)
        await asyncio.Event().wait()
        return ReadOutcome.FOUND


@pytest.fixture
def server() -> Silent:
    return Silent()


async def flood(reads: Reads, count: int, *, of: str) -> None:
    await asyncio.gather(*(reads.wait(f"{of}-{at}") for at in range(count)))


async def test_no_time_of_peace_saves_more_questions_than_may_be_saved(server: Silent) -> None:
    reads = server.reads(patience=0.01)
    server.clock.advance(HOUR)
    await flood(reads, 2 * READS_SAVED, of="one")
    assert len(server.asked) == READS_SAVED
    server.clock.advance(1_000)
    await flood(reads, 2 * READS_SAVED, of="two")
    assert len(server.asked) == READS_SAVED + READS_A_SECOND
    await reads.aclose()


async def test_where_as_many_wait_as_may_the_next_does_not_wait_at_all(server: Silent) -> None:
    reads = server.reads(patience=600.0)
    waiting = asyncio.create_task(flood(reads, MAX_WAITING, of="made-up"))
    await eventually(lambda: server.outcomes.total() == MAX_WAITING - READS_SAVED)
    await asyncio.wait_for(reads.wait("late"), 60)
    assert server.outcomes[ReadOutcome.OVER_BUDGET] == MAX_WAITING - READS_SAVED + 1
    await reads.aclose()
    await waiting


async def test_the_end_ends_every_wait_also_of_those_that_nobody_asked_about(
    server: Silent,
) -> None:
    reads = server.reads(patience=600.0)
    waiting = asyncio.create_task(flood(reads, READS_SAVED + 5, of="team"))
    await eventually(lambda: len(server.asked) == READS_SAVED)
    await reads.aclose()
    await asyncio.wait_for(waiting, 60)


async def test_who_waits_need_not_when_it_becomes_known_otherwise(server: Silent) -> None:
    reads = server.reads(patience=600.0)
    waiting = asyncio.create_task(reads.wait("team"))
    await eventually(lambda: server.asked == ["team"])
    reads.known("team")
    await asyncio.wait_for(waiting, 60)
    await reads.aclose()
