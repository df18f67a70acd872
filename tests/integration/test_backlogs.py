"""A backlog is worked off, whatever dies meanwhile (docs/design/behaviour.md 5, protocol.md L3).

Redis, RabbitMQ, two workers and a fake Anchore as processes. Nobody claimed the requests and
nobody asks again: what the queue or a worker loses would stay lost. `make bench ARGS=workers` does
the same for longer.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from shared.domain.step import Lane
from tests.bench.backlog import Backlog, Wanted, backlog
from tests.bench.site import QUIET, Site, metrics, site
from tests.waiting import eventually

pytestmark = [
    pytest.mark.servers,
    pytest.mark.asyncio(loop_scope="module"),
]

IMAGES = 40
SLOTS = {"IMAGEGATE_SLOTS": "8"}
"""So few that requests still stand in the line while the first images are judged."""

ANALYSIS = 1.0
CALL = 0.05
"""Seconds."""

LEADER = "imagegate_leader"
DRAIN = 20.0
"""Seconds in which a worker must be gone that has only short steps in hand."""

HANG = 16.0
"""Seconds: longer than a step waits for its scanner."""

PATIENCE = 150.0
"""Seconds: longer than the scan record of a lost message lives."""


class Crew:
    """The two workers of the site; who goes is replaced."""

    def __init__(self, running: Site) -> None:
        self._running = running
        self._ports = {f"worker{number}": port for number, port in enumerate(running.health)}
        self._hired = 2

    async def leaders(self) -> list[str]:
        """Who does what one does for all."""
        return [name for name, port in self._ports.items() if await metrics(port, LEADER)]

    async def kill_one(self, name: str = "") -> None:
        """kill -9, and another instead."""
        self._running.programs[self._gone(name)].kill()
        await self.hire()

    async def relieve_one(self) -> None:
        """One is told to stop, as in a roll-out, and another comes."""
        told = self._running.programs[self._gone()]
        told.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN):
            assert await told.wait() == 0
        await self.hire()

    async def send_home(self) -> None:
        """All are told to stop."""
        for name in self._ports:
            await self._running.programs.end(name)
        self._ports.clear()

    async def hire(self) -> None:
        """One more."""
        name = f"worker{self._hired}"
        self._hired += 1
        self._ports[name] = await self._running.programs.start_worker(name)

    def _gone(self, name: str = "") -> str:
        """The oldest of them, if none is named; no longer one of them."""
        name = name or next(iter(self._ports))
        del self._ports[name]
        return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    async with site(folder, webhooks=0, workers=2, environment=QUIET | SLOTS) as running:
        await running.order("settle_after", seconds=ANALYSIS)
        await running.order("slow", seconds=CALL)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crew(running: Site) -> Crew:
    return Crew(running)


@pytest_asyncio.fixture(loop_scope="module")
async def log(running: Site) -> AsyncIterator[Backlog]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(backlog(running))


async def queued(log: Backlog, lane: Lane = Lane.ADMISSION) -> list[Wanted]:
    """A backlog of new images."""
    images = log.images(IMAGES)
    await log.publish(images, lane=lane)
    return images


async def worked_off(log: Backlog, images: Sequence[Wanted], *, submits: int = 2) -> None:
    """Each is judged, and none was handed to Anchore more often than `submits` times."""
    assert await log.wait(images, within=PATIENCE) == []
    assert max(await log.submits(images)) <= submits


async def test_without_a_fault_each_image_is_submitted_once(log: Backlog, crew: Crew) -> None:
    await worked_off(log, await queued(log), submits=1)


@pytest.mark.parametrize("lane", [Lane.ADMISSION, Lane.PREWARM])
async def test_a_worker_killed_among_the_submits_loses_nothing(
    log: Backlog, crew: Crew, lane: Lane
) -> None:
    images = await queued(log, lane)
    await log.until_submitted(images, IMAGES // 4)
    await crew.kill_one()
    await worked_off(log, images)


async def test_what_is_asked_for_while_no_worker_runs_waits_for_one(
    log: Backlog, crew: Crew
) -> None:
    await crew.send_home()
    images = await queued(log)
    await asyncio.sleep(1.0)
    assert not await log.judged(images)
    await asyncio.gather(crew.hire(), crew.hire())
    await worked_off(log, images, submits=1)


@pytest.mark.parametrize("judged", [1, IMAGES // 2])
async def test_a_worker_killed_among_the_checks_loses_nothing(
    log: Backlog, crew: Crew, judged: int
) -> None:
    images = await queued(log)
    await log.until_judged(images, judged)
    await crew.kill_one()
    await worked_off(log, images)


async def test_workers_relieved_one_after_the_other_submit_nothing_twice(
    log: Backlog, crew: Crew
) -> None:
    images = await queued(log)
    await log.until_submitted(images, IMAGES // 4)
    await crew.relieve_one()
    await crew.relieve_one()
    await worked_off(log, images, submits=1)


async def test_a_broker_killed_and_started_again_loses_nothing(
    running: Site, log: Backlog, crew: Crew
) -> None:
    images = await queued(log)
    await log.until_judged(images, 1)
    await asyncio.to_thread(running.rabbit.restart)
    await worked_off(log, images)


async def test_a_broker_and_a_worker_killed_at_once_lose_nothing(
    running: Site, log: Backlog, crew: Crew
) -> None:
    images = await queued(log)
    await log.until_submitted(images, IMAGES // 4)
    await asyncio.to_thread(running.rabbit.kill)
    killing = asyncio.create_task(crew.kill_one())
    await asyncio.to_thread(running.rabbit.start_node)
    await killing
    await worked_off(log, images)


async def test_what_a_killed_leader_left_undone_is_done_by_the_next(
    log: Backlog, crew: Crew
) -> None:
    async def one_leads() -> bool:
        return len(await crew.leaders()) == 1

    await eventually(one_leads, within=60)
    images = log.images(IMAGES)
    await log.claim(images)
    (leader,) = await crew.leaders()
    await crew.kill_one(leader)
    assert await crew.leaders() == []
    await worked_off(log, images)
    await eventually(one_leads, within=60)


async def test_an_anchore_that_hangs_longer_than_a_step_waits_for_it_loses_nothing(
    running: Site, log: Backlog, crew: Crew
) -> None:
    images = await queued(log)
    await log.until_submitted(images, IMAGES // 4)
    anchore = running.programs["anchore"]
    anchore.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(HANG)
    finally:
        anchore.send_signal(signal.SIGCONT)
    await worked_off(log, images)


async def test_a_redis_that_hangs_for_a_while_loses_nothing(
    running: Site, log: Backlog, crew: Crew
) -> None:
    images = await queued(log)
    await log.until_judged(images, IMAGES // 4)
    with running.redis.paused():
        await asyncio.sleep(3.0)
    await worked_off(log, images)


@pytest.mark.parametrize("how", ["emptied", "killed"])
async def test_what_is_under_way_goes_on_with_a_redis_that_knows_nothing_of_it(
    running: Site, log: Backlog, crew: Crew, how: str
) -> None:
    images = await queued(log)
    await log.until_judged(images, IMAGES // 4)
    if how == "emptied":
        await asyncio.to_thread(running.redis.command, "FLUSHALL")
    else:
        await asyncio.to_thread(running.redis.restart)
    await worked_off(log, images)
