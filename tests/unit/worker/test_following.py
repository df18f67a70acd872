"""While the broker takes nothing, that is said once for all the steps that wait for it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from services.worker.dispatch import Follower
from services.worker.reconcile import Reconciler
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.domain.errors import QueueError, QueueFull, QueueUnavailable, StoreUnreachable
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.ports.steps import Depths
from tests.fakes.clock import FakeClock
from tests.fakes.queue import RememberingQueue
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

STEPS = 40
AWAY = QueueUnavailable("no broker at rabbit:5672: refused")


class Broker(RememberingQueue):
    """Takes no step that `refusal` says something of; remembers how often it was tried."""

    def __init__(self) -> None:
        super().__init__(clock=FakeClock())
        self.refusal: Callable[[Step], Exception | None] = lambda step: None
        self.tries = 0

    def is_away(self, error: Exception = AWAY) -> None:
        self.refusal = lambda step: error

    def is_back(self) -> None:
        self.refusal = lambda step: None

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        self.tries += 1
        error = self.refusal(step)
        if error is not None:
            raise error
        await super().publish(step, delay=delay, expires_in=expires_in)

    async def depths(self) -> Depths:
        self.tries += 1
        error = self.refusal(step(0))
        if error is not None:
            raise error
        return await super().depths()


def step(number: int) -> Step:
    return Step(
        id=str(number),
        kind=StepKind.REQUEST,
        lane=Lane.ADMISSION,
        reference=f"docker.io/library/app{number}:1",
        question=Question(),
        first_seen=0,
        claim="claim",
    )


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def follower(broker: Broker) -> Follower:
    return Follower(queue=broker, pause=0.01)


@asynccontextmanager
async def waiting(follower: Follower, *numbers: int) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Steps in hand, each with a follow-up that waits for the broker."""
    tasks = [asyncio.create_task(follower.follow(step(number), 1)) for number in numbers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def tried_again(broker: Broker, times: int) -> None:
    before = broker.tries
    await eventually(lambda: broker.tries >= before + times)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == level]


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_an_outage_is_said_once_however_many_steps_wait_and_its_end_with_their_number(
    broker: Broker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    broker.is_away()
    async with waiting(follower, *range(STEPS)) as tasks:
        await tried_again(broker, 5 * STEPS)
        (line,) = lines(caplog, logging.WARNING)
        assert str(AWAY) in line
        assert lines(caplog, logging.INFO) == []
        assert not any(task.done() for task in tasks)
        broker.is_back()
        await asyncio.gather(*tasks)
    assert sorted(int(each.id) for each in broker.published) == list(range(STEPS))
    assert len(lines(caplog, logging.WARNING)) == 1
    (again,) = [line for line in caplog.records if line.levelno == logging.INFO]
    assert "work goes on" in again.getMessage()
    assert vars(again)["steps"] == STEPS


async def test_the_next_outage_is_said_again(
    broker: Broker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        broker.is_away()
        async with waiting(follower, 1, 2) as tasks:
            await tried_again(broker, 4)
            broker.is_back()
            await asyncio.gather(*tasks)
    assert len(lines(caplog, logging.WARNING)) == len(lines(caplog, logging.INFO)) == 2


async def test_a_step_that_waits_for_a_reason_of_its_own_is_told_while_others_go_through(
    broker: Broker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    full = QueueFull("imagegate.delay.5m is full")
    broker.refusal = lambda step: full if step.id == "7" else AWAY
    async with waiting(follower, 1, 2, 7) as tasks:
        await tried_again(broker, 12)
        assert len(lines(caplog, logging.WARNING)) == 2
        assert sum(str(full) in line for line in lines(caplog, logging.WARNING)) == 1
        broker.refusal = lambda step: full if step.id == "7" else None
        await asyncio.gather(*tasks[:2])
        await tried_again(broker, 5)
        # Others that need not wait end nobody's outage, and begin none.
        await follower.follow(step(8), 1)
        await tried_again(broker, 5)
        assert len(lines(caplog, logging.WARNING)) == 2
        assert len(lines(caplog, logging.INFO)) == 1
        broker.is_back()
        await tasks[2]
    assert len(lines(caplog, logging.INFO)) == 2


async def test_an_outage_that_changes_its_reason_is_told_and_ends_once(
    broker: Broker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    broker.is_away(QueueUnavailable("the connection to the broker was closed"))
    async with waiting(follower, *range(STEPS)) as tasks:
        await tried_again(broker, 2 * STEPS)
        broker.is_away()
        await tried_again(broker, 3 * STEPS)
        assert len(lines(caplog, logging.WARNING)) == 2
        assert lines(caplog, logging.INFO) == []
        broker.is_back()
        await asyncio.gather(*tasks)
    assert len(lines(caplog, logging.INFO)) == 1


async def test_steps_that_the_drain_takes_away_go_on_nowhere(
    broker: Broker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    broker.is_away()
    async with waiting(follower, 1, 2) as tasks:
        await tried_again(broker, 4)
    assert all(task.cancelled() for task in tasks)
    assert lines(caplog, logging.INFO) == []
    async with waiting(follower, 3):
        await tried_again(broker, 2)
    assert len(lines(caplog, logging.WARNING)) == 2


async def test_what_is_no_word_of_the_queue_is_not_waited_for(
    broker: Broker, follower: Follower
) -> None:
    broker.is_away(KeyError("a mistake"))
    with pytest.raises(KeyError):
        await follower.follow(step(1), 1)


class Reconciling:
    """The leader's reconciler, running over a broker."""

    def __init__(self, broker: Broker) -> None:
        clock = FakeClock()
        self._claims = MemoryRequestClaims(clock=clock, leases=MemoryScanLeases(clock=clock))
        self._reconciler = Reconciler(claims=self._claims, queue=broker, clock=clock, every=0.01)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._reconciler.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("error", [AWAY, StoreUnreachable("Redis at redis:6379 is silent")])
async def test_a_reconciler_that_cannot_says_so_once_an_outage(
    broker: Broker, error: QueueError | StoreUnreachable, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Reconciling(broker)
    async with rig.running():
        for outage in (1, 2):
            broker.is_away(error)
            await tried_again(broker, 10)
            assert len(lines(caplog, logging.WARNING)) == outage
            assert str(error) in lines(caplog, logging.WARNING)[-1]
            broker.is_back()
            await tried_again(broker, 10)
            assert len(lines(caplog, logging.INFO)) == outage


async def test_a_reconciler_tells_each_reason_of_an_outage_once(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = [QueueUnavailable("no broker"), StoreUnreachable("no Redis")]
    broker.refusal = lambda step: reasons[broker.tries % 2]
    async with Reconciling(broker).running():
        await tried_again(broker, 20)
    assert len(lines(caplog, logging.WARNING)) == 2
