"""A registry is down for long: nothing is lost, nothing piles up, and whoever waits is told."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from services.worker.dispatch import Dispatch, Follower, StepOutcome
from shared.adapters.breaker import FAILURES
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.pointer import MINUTE
from shared.domain.reference import ImageReference
from shared.domain.retry import DELAYS, MAX_POLL
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Outcome, Subject, unresolved
from shared.domain.why import Why
from shared.ports.steps import Settle
from tests.fakes.registry import answer
from tests.unit.worker.rig import CONTENT, Rig, rigged


async def break_down(rig: Rig) -> None:
    """The registry fails until nobody asks it."""
    rig.registry.fault("manifests", answer(503))
    for _ in range(FAILURES):
        with pytest.raises(TransientFailure):
            await rig.scan.resolve(rig.step())


@pytest.fixture
async def down() -> AsyncIterator[Rig]:
    """A rig whose registry is taken for down."""
    async with rigged() as rig:
        await break_down(rig)
        yield rig


def dispatch_of(rig: Rig, ends: list[StepOutcome]) -> Dispatch:
    return Dispatch(
        scan=rig.scan,
        follower=Follower(queue=MemoryQueue(clock=rig.clock)),
        on_step=lambda step, outcome: ends.append(outcome),
    )


def pinned(rig: Rig) -> ImageReference:
    """The image as a pod names it that /mutate has seen."""
    return msgspec.structs.replace(rig.reference, digest=CONTENT.digest)


def nobody(rig: Rig) -> Subject:
    """Under which the error of what could not be resolved stands."""
    return unresolved(rig.reference)


async def test_the_request_comes_again_and_that_was_no_attempt(down: Rig) -> None:
    asked = len(down.registry.requests)
    await down.scan.request(down.step())
    ((again, delay),) = down.followed
    assert (again.kind, again.attempt, again.history) == (StepKind.REQUEST, 0, ())
    assert again.lane is Lane.ADMISSION
    assert delay == 1
    assert len(down.registry.requests) == asked


async def test_whoever_waits_learns_at_once_that_the_registry_is_away(down: Rig) -> None:
    await down.scan.request(down.step(why=Why.PREWARM))
    error = await down.error(nobody(down))
    assert error is not None
    assert (error.error, error.why) == (ErrorKind.TRANSIENT, Why.PREWARM)
    assert error.message.startswith(f"the registry {down.registry.host} is taken for down since ")


async def test_however_long_it_lasts_no_attempt_is_spent_and_no_dead_letter_is_made(
    down: Rig,
) -> None:
    ends: list[StepOutcome] = []
    dispatch = dispatch_of(down, ends)
    began = down.clock.now()
    step = down.step()
    while down.clock.now() < began + 60 * MINUTE:
        down.followed.clear()
        assert await dispatch.handle(step) is Settle.ACK
        ((step, delay),) = down.followed
        assert delay in DELAYS
        assert delay <= MAX_POLL
        down.clock.advance(1000 * delay - 1)
        assert (step.attempt, step.given_up) == (0, False)
    assert set(ends) <= {StepOutcome.DONE, StepOutcome.RETRIED}
    assert len(ends) < 150


async def test_those_who_ask_meanwhile_add_nothing(down: Rig) -> None:
    first = down.step()
    await down.scan.request(first)
    for _ in range(10):
        await down.scan.request(down.step())
    assert [step.id for step, _ in down.followed] == [f"{first.id}.later.1"]
    down.clock.advance(900)
    await down.scan.request(down.followed[-1][0])
    assert [step.id for step, _ in down.followed][1:] == [f"{first.id}.later.2"]


async def test_a_request_whose_message_was_lost_leaves_the_way_to_the_next_within_two_minutes(
    down: Rig,
) -> None:
    await down.scan.request(down.step())
    down.clock.advance(2 * MINUTE)
    another = down.step()
    await down.scan.request(another)
    assert down.followed[-1][0].id == f"{another.id}.later.1"


async def test_when_it_is_back_the_scan_begins_and_the_next_outage_finds_nothing_in_its_way(
    down: Rig,
) -> None:
    await down.scan.request(down.step())
    down.registry.heal()
    down.clock.advance(1000 * down.followed[-1][1])
    await down.scan.request(down.followed[-1][0])
    assert down.anchore.store.submits == {CONTENT.digest: 1}
    assert await down.held()
    await break_down(down)
    another = down.step()
    await down.scan.request(another)
    assert down.followed[-1][0].id == f"{another.id}.later.1"


async def test_a_pods_resolve_is_dropped_at_once(down: Rig) -> None:
    ends: list[StepOutcome] = []
    resolve = down.step()
    step = Step(
        id="resolve",
        kind=StepKind.RESOLVE,
        lane=Lane.RESOLVE,
        reference=resolve.reference,
        question=resolve.question,
        first_seen=resolve.first_seen,
    )
    asked = len(down.registry.requests)
    assert await dispatch_of(down, ends).handle(step) is Settle.ACK
    assert ends == [StepOutcome.DROPPED]
    assert len(down.registry.requests) == asked


async def test_a_digest_that_was_judged_before_is_judged_again_without_its_registry(
    rig: Rig,
) -> None:
    """Its index, pointer and manifest are known."""
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    before = await rig.verdict()
    assert before is not None
    await break_down(rig)
    rig.clock.advance(before.stale_at - rig.clock.now())
    await rig.scan.request(rig.step(reference=pinned(rig)))
    assert [verdict.outcome for verdict, _ in rig.verdicts] == [Outcome.PASS, Outcome.PASS]


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed by others", "unknown"])
async def test_a_manifest_that_cannot_be_read_waits_as_a_check(rig: Rig, analysed: bool) -> None:
    await rig.scan.resolve(rig.step())
    if analysed:
        rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await break_down(rig)
    await rig.scan.request(rig.step(reference=pinned(rig)))
    check, delay = rig.followed[-1]
    assert (check.kind, check.attempt, delay) == (StepKind.CHECK, 0, 1)
    assert await rig.held()
    rig.registry.heal()
    rig.clock.advance(1_000)
    assert await rig.verdict() is None
    await rig.scan.check(check)
    assert rig.anchore.store.submits == ({} if analysed else {CONTENT.digest: 1})
    assert (await rig.verdict() is not None) is analysed


async def test_a_registry_that_asks_for_time_is_left_it(rig: Rig) -> None:
    rig.registry.fault("manifests", answer(429, Retry_After="20"))
    queue = MemoryQueue(clock=rig.clock)
    dispatch = Dispatch(scan=rig.scan, follower=Follower(queue=queue))
    await dispatch.handle(rig.step())
    assert (await queue.depths()).delayed[30] == 1
