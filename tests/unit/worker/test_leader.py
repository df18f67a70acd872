"""One worker leads: whose lease is lost stops by itself, and another goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from services.worker.leader import RENEWALS, Leader
from shared.adapters.memory.leadership import MemoryLeadership
from shared.domain.errors import ImagegateError, StoreMisconfigured, StoreUnreachable
from tests.fakes.virtual_time import VirtualClock
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

LIFE = 2.0
"""Seconds."""


class Leases(MemoryLeadership):
    """A store that may be away, or hang."""

    def __init__(self) -> None:
        super().__init__(clock=VirtualClock())
        self.away = self.hangs = self.killed = self.refuses = False
        self.asked = 0

    async def lead(self, name: str, owner: str, *, life: int) -> bool:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise StoreUnreachable("Redis at 127.0.0.1:1 refused the connection")
        if self.refuses:
            raise StoreMisconfigured("check the user, password and ACL of REDIS_URL")
        return await super().lead(name, owner, life=life)

    async def leave(self, name: str, owner: str) -> None:
        if not self.killed:
            await super().leave(name, owner)


class Worker:
    """One process that would lead."""

    def __init__(self, leases: Leases, owner: str) -> None:
        self.stopping = asyncio.Event()
        self.leader = Leader(
            leadership=leases,
            name="care",
            owner=owner,
            clock=VirtualClock(),
            stopping=self.stopping,
            life=LIFE,
            margin=LIFE / 2,
        )
        self.working = False
        self.began = 0
        self.ends: asyncio.Event = asyncio.Event()
        self.failure: Exception | None = None
        self.task = asyncio.create_task(self.leader.run(self.work))

    async def work(self) -> None:
        self.working, self.began = True, self.began + 1
        try:
            await self.ends.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.working = False

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
async def workers(leases: Leases) -> AsyncIterator[list[Worker]]:
    both = [Worker(leases, owner) for owner in ("a", "b")]
    yield both
    for worker in both:
        await worker.close()


async def _leader_of(workers: list[Worker]) -> tuple[Worker, Worker]:
    """Who leads, and who does not."""
    await eventually(lambda: any(worker.working for worker in workers))
    first, second = workers
    return (first, second) if first.working else (second, first)


async def test_one_of_several_workers_leads_and_goes_on_leading(
    workers: list[Worker], leases: Leases
) -> None:
    leads, waits = await _leader_of(workers)
    before = leases.asked
    await eventually(lambda: leases.asked >= before + 8)
    assert (leads.working, leads.began, waits.began) == (True, 1, 0)
    assert (leads.leader.leads, waits.leader.leads) == (True, False)


async def test_who_is_killed_is_followed_by_another(workers: list[Worker], leases: Leases) -> None:
    """A kill says no goodbye: the lease stays until it ends."""
    leads, waits = await _leader_of(workers)
    leases.killed = True
    await leads.close()
    await eventually(lambda: waits.working)


async def test_who_is_to_stop_hands_over(workers: list[Worker]) -> None:
    leads, waits = await _leader_of(workers)
    leads.stopping.set()
    await leads.task
    assert not leads.working
    await eventually(lambda: waits.working)


async def test_who_cannot_renew_its_lease_stops_by_itself_and_leads_again_once_it_can(
    workers: list[Worker], leases: Leases, caplog: pytest.LogCaptureFixture
) -> None:
    leads, _ = await _leader_of(workers)
    leases.away = True
    await eventually(lambda: not leads.working)
    assert not leads.task.done()
    leases.away = False
    await eventually(lambda: any(worker.working for worker in workers))
    said = [line for line in caplog.records if line.message.startswith("the lease cannot be asked")]
    assert len(said) == 2  # each worker once
    assert said[0].__dict__["why"] == "Redis at 127.0.0.1:1 refused the connection"


async def test_a_store_that_hangs_is_one_that_is_away(
    workers: list[Worker], leases: Leases
) -> None:
    leads, _ = await _leader_of(workers)
    leases.hangs = True
    await eventually(lambda: not leads.working)


async def test_a_lease_that_somebody_else_has_is_lost_at_once(
    workers: list[Worker], leases: Leases
) -> None:
    """As after a Redis that forgot it."""
    leads, _ = await _leader_of(workers)
    await leases.leave("care", "a")
    await leases.leave("care", "b")
    assert await MemoryLeadership.lead(leases, "care", "c", life=60_000)
    await eventually(lambda: not leads.working, within=LIFE / RENEWALS + 0.1)
    assert not leads.leader.leads


async def test_what_its_work_raises_stops_the_process(workers: list[Worker]) -> None:
    leads, _ = await _leader_of(workers)
    leads.failure = ValueError("a mistake of ours")
    leads.ends.set()
    with pytest.raises(ValueError, match="mistake"):
        await leads.task


async def test_work_that_ends_by_itself_stops_the_process(workers: list[Worker]) -> None:
    leads, _ = await _leader_of(workers)
    leads.ends.set()
    with pytest.raises(ImagegateError, match="ended by itself"):
        await leads.task


async def test_each_change_of_the_leader_is_a_line(
    leases: Leases, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker = Worker(leases, "a")
    await eventually(lambda: worker.working)
    worker.stopping.set()
    await worker.task
    said = [line.message for line in caplog.records if line.name == "services.worker.leader"]
    assert said == ["this worker leads", "this worker leads no more"]


async def test_a_right_that_is_missing_is_an_error_and_no_outage(
    leases: Leases, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an upgrade, before the users of Redis were changed."""
    leases.refuses = True
    worker = Worker(leases, "a")
    await eventually(lambda: leases.asked >= 2)
    (line,) = [line for line in caplog.records if line.name == "services.worker.leader"]
    assert line.levelno == logging.ERROR
    assert line.__dict__["why"] == "check the user, password and ACL of REDIS_URL"
    await worker.close()
