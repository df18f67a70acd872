"""From a delivery to its end: each failure has one class (docs/design/behaviour.md 5)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from services.worker.dispatch import Dispatch, Follower, StepOutcome, Steps
from services.worker.reconcile import BUSY, Reconciler
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import (
    ErrorKind,
    NotAnImage,
    PermanentFailure,
    QueueUnavailable,
    QueueUnconfirmed,
    StoreUnreachable,
    TransientFailure,
)
from shared.domain.retry import DELAYS, MAX_ATTEMPTS
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question, Subject
from shared.ports.claims import Claim
from shared.ports.steps import Depths, Handler, Settle
from tests.fakes.clock import FakeClock
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

REQUEST = Step(
    id="1",
    kind=StepKind.REQUEST,
    lane=Lane.ADMISSION,
    reference="docker.io/library/app:1",
    question=Question(),
    first_seen=0,
    claim="claim",
)
RESOLVE = Step(
    id="2",
    kind=StepKind.RESOLVE,
    lane=Lane.RESOLVE,
    reference="docker.io/library/app:1",
    question=Question(),
    first_seen=0,
)


class Work:
    """Steps that end as a test says."""

    def __init__(self, ends: Callable[[], Awaitable[None]]) -> None:
        self._ends = ends

    async def resolve(self, step: Step) -> None:
        await self._ends()

    async def request(self, step: Step) -> None:
        await self._ends()

    async def check(self, step: Step) -> None:
        await self._ends()

    async def wake(self, step: Step) -> None:
        await self._ends()


class Queue:
    """A queue that keeps what was published, and can refuse."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.published: list[tuple[Step, int]] = []

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.published.append((step, delay))

    async def consume(self, lane: Lane, handler: Handler, *, concurrency: int) -> None:
        raise AssertionError("not consumed here")

    async def drain(self, *, timeout: float) -> None:
        """Nothing is in flight."""

    async def depths(self) -> Depths:
        return Depths((), {}, 0)

    async def ping(self) -> None:
        """Always there."""


class Rig:
    def __init__(self, error: Exception | None = None, *, budget: float = 20.0) -> None:
        self.queue = Queue()
        self.taken: list[Step] = []
        self.ends: list[StepOutcome] = []

        async def ends() -> None:
            if error is not None:
                raise error

        self.dispatch = self.over(Work(ends), budget=budget)

    def over(self, work: Steps, *, budget: float) -> Dispatch:
        return Dispatch(
            scan=work,
            follower=Follower(queue=self.queue, pause=0.01),
            budget=budget,
            on_taken=self.taken.append,
            on_step=lambda step, outcome: self.ends.append(outcome),
        )


async def test_a_step_that_did_its_part_is_acked() -> None:
    rig = Rig()
    assert await rig.dispatch.handle(REQUEST) is Settle.ACK
    assert rig.taken == [REQUEST]
    assert rig.ends == [StepOutcome.DONE]
    assert not rig.queue.published


@pytest.mark.parametrize(
    "error",
    [TransientFailure("busy"), StoreUnreachable("away"), TimeoutError(), KeyError("a mistake")],
)
async def test_a_failure_that_may_pass_is_delayed_and_then_acked(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(error)
    with caplog.at_level(logging.CRITICAL):
        assert await rig.dispatch.handle(REQUEST) is Settle.ACK
    ((again, delay),) = rig.queue.published
    assert (again.id, again.attempt, delay) == ("1", 1, 1)
    assert again.history
    assert rig.ends == [StepOutcome.RETRIED]


async def test_what_the_other_side_asked_for_is_waited() -> None:
    rig = Rig(TransientFailure("busy", retry_after=20))
    await rig.dispatch.handle(REQUEST)
    assert rig.queue.published[0][1] == 30


async def test_the_last_attempt_ends_among_the_dead_letters_with_every_reason() -> None:
    rig = Rig(TransientFailure("busy"))
    step = REQUEST
    for _ in range(MAX_ATTEMPTS):
        assert await rig.dispatch.handle(step) is Settle.ACK
        step = rig.queue.published[-1][0]
    assert (step.attempt, step.history) == (MAX_ATTEMPTS, ("busy",) * MAX_ATTEMPTS)
    assert await rig.dispatch.handle(step) is Settle.DEAD
    assert len(rig.queue.published) == MAX_ATTEMPTS
    assert rig.ends[-2:] == [StepOutcome.GIVEN_UP, StepOutcome.DEAD]


async def test_a_step_that_is_given_up_goes_round_through_a_delay_and_is_not_tried() -> None:
    rig = Rig(PermanentFailure("no", kind=ErrorKind.REFUSED))
    await rig.dispatch.handle(REQUEST)
    ((step, delay),) = rig.queue.published
    # Straight into a full lane it would wait for room that only its own place could make.
    assert delay == DELAYS[0]
    well = Rig()
    assert await well.dispatch.handle(step) is Settle.DEAD
    assert well.ends == [StepOutcome.DEAD]


async def test_a_store_that_is_away_for_long_makes_no_dead_letters() -> None:
    rig = Rig(StoreUnreachable("away"))
    step, delay = REQUEST, 0
    for _ in range(20):
        assert await rig.dispatch.handle(step) is Settle.ACK
        step, delay = rig.queue.published[-1]
    assert (step.attempt, delay) == (MAX_ATTEMPTS - 1, DELAYS[-1])
    assert set(rig.ends) == {StepOutcome.RETRIED}


async def test_a_step_that_takes_too_long_is_cut_off_and_tried_again() -> None:
    rig = Rig()

    async def hang() -> None:
        await asyncio.Event().wait()

    dispatch = rig.over(Work(hang), budget=0.05)
    assert await dispatch.handle(REQUEST) is Settle.ACK
    assert rig.queue.published[0][0].attempt == 1


@pytest.mark.parametrize(
    ("lane", "kind"), [(Lane.ADMISSION, StepKind.CHECK), (Lane.CHECK, StepKind.REQUEST)]
)
async def test_a_step_in_a_lane_that_is_none_of_its_kind_is_not_run(
    lane: Lane, kind: StepKind
) -> None:
    """Whoever may write to admission may begin scans, and has no say in those under way."""
    rig = Rig()
    step = msgspec.structs.replace(REQUEST, lane=lane, kind=kind)
    assert await rig.dispatch.handle(step) is Settle.DEAD
    assert (rig.ends, rig.queue.published) == ([StepOutcome.DEAD], [])


async def test_a_resolve_that_failed_is_not_tried_again_nobody_waits_for_it() -> None:
    rig = Rig(TransientFailure("registry away"))
    assert await rig.dispatch.handle(RESOLVE) is Settle.ACK
    assert not rig.queue.published
    assert rig.ends == [StepOutcome.DROPPED]


async def test_a_failure_that_nothing_will_cure_ends_among_the_dead_letters() -> None:
    rig = Rig(PermanentFailure("no such image", kind=ErrorKind.REFUSED))
    assert await rig.dispatch.handle(REQUEST) is Settle.ACK
    ((step, _),) = rig.queue.published
    assert (step.given_up, step.history) == (True, ("no such image",))
    assert await rig.dispatch.handle(step) is Settle.DEAD


async def test_a_resolve_that_nothing_will_cure_ends_at_once() -> None:
    rig = Rig(PermanentFailure("no", kind=ErrorKind.REFUSED))
    assert await rig.dispatch.handle(RESOLVE) is Settle.DEAD
    assert not rig.queue.published


async def test_a_step_is_not_given_up_before_the_queue_has_it_with_its_reasons() -> None:
    rig = Rig(PermanentFailure("no", kind=ErrorKind.REFUSED))
    rig.queue.refusals = [QueueUnconfirmed("?"), QueueUnavailable("away")]
    assert await rig.dispatch.handle(REQUEST) is Settle.ACK
    assert not rig.queue.refusals
    assert rig.ends == [StepOutcome.GIVEN_UP]


async def test_a_push_of_no_image_is_acked_and_counted_apart() -> None:
    rig = Rig(NotAnImage("a chart"))
    assert await rig.dispatch.handle(REQUEST) is Settle.ACK
    assert rig.ends == [StepOutcome.IGNORED]
    assert not rig.queue.published


async def test_without_its_confirmed_follow_up_a_step_is_not_acked() -> None:
    rig = Rig(TransientFailure("busy"))
    rig.queue.refusals = [QueueUnconfirmed("?"), QueueUnavailable("away"), QueueUnconfirmed("?")]
    assert await rig.dispatch.handle(REQUEST) is Settle.ACK
    assert not rig.queue.refusals
    assert len(rig.queue.published) == 1


async def test_a_step_that_waits_for_its_follow_ups_confirm_can_be_cancelled() -> None:
    rig = Rig(TransientFailure("busy"))
    rig.queue.refusals = [QueueUnavailable("away")] * 1_000_000
    handling = asyncio.create_task(rig.dispatch.handle(REQUEST))
    await asyncio.sleep(0.05)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert not rig.ends


async def acked(step: Step) -> Settle:
    return Settle.ACK


class Reconciling:
    """A reconciler over memory claims and a memory queue."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.claims = MemoryRequestClaims(clock=self.clock, leases=leases)
        self.queue = MemoryQueue(clock=self.clock)
        self.published_again: list[Step] = []
        self.reconciler = Reconciler(
            claims=self.claims,
            queue=self.queue,
            clock=self.clock,
            overdue=15_000,
            on_step=self.published_again.append,
        )

    async def wanted(self) -> Claim:
        step = msgspec.structs.replace(REQUEST, first_seen=self.clock.now())
        return await self.claims.claim("claim", step, life=30_000)

    async def ready(self) -> dict[Lane, int]:
        depths = await self.queue.depths()
        return {lane.lane: lane.ready for lane in depths.lanes if lane.ready}

    async def empty(self) -> bool:
        return not await self.ready()


async def test_what_was_claimed_but_never_begun_is_published_again() -> None:
    rig = Reconciling()
    assert await rig.wanted() is Claim.TAKEN
    assert await rig.reconciler.once() == 0
    rig.clock.advance(15_001)
    assert await rig.reconciler.once() == 1
    assert await rig.reconciler.once() == 0
    assert await rig.ready() == {Lane.ADMISSION: 1}
    assert [step.claim for step in rig.published_again] == ["claim"]


async def test_what_was_begun_is_not_published_again() -> None:
    rig = Reconciling()
    await rig.wanted()
    await rig.claims.begin("claim")
    rig.clock.advance(60_000)
    assert await rig.reconciler.once() == 0


async def test_what_stands_in_a_long_line_is_not_copied_until_the_line_is_short() -> None:
    rig = Reconciling()
    await rig.wanted()
    for number in range(BUSY):
        await rig.queue.publish(msgspec.structs.replace(REQUEST, id=str(number)))
    rig.clock.advance(15_001)
    assert await rig.reconciler.once() == 0
    taking = asyncio.create_task(rig.queue.consume(Lane.ADMISSION, acked, concurrency=8))
    await eventually(rig.empty, within=5)
    await rig.queue.drain(timeout=1)
    await taking
    rig.clock.advance(15_001)
    assert await rig.reconciler.once() == 1


async def test_only_requests_are_published_again() -> None:
    rig = Reconciling()
    check = msgspec.structs.replace(
        REQUEST,
        kind=StepKind.CHECK,
        subject=Subject("docker.io/library/app", "sha256:" + "a" * 64, "exempt"),
        chain="forged",
        first_seen=rig.clock.now(),
    )
    await rig.claims.claim("claim", check, life=30_000)
    rig.clock.advance(15_001)
    assert await rig.reconciler.once() == 0
    assert await rig.claims.oldest() == {}


async def test_what_nobody_can_still_wait_for_is_forgotten() -> None:
    rig = Reconciling()
    await rig.wanted()
    rig.clock.advance(3_600_001)
    assert await rig.reconciler.once() == 0
    assert await rig.claims.oldest() == {}
