"""Anchore is down for long: nothing is lost, nothing piles up, nobody has to lend a hand."""

from collections.abc import AsyncIterator

import pytest

from services.worker.dispatch import Dispatch, Follower, StepOutcome
from shared.adapters.breaker import BreakerState
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import ErrorKind
from shared.domain.pointer import MINUTE
from shared.domain.retry import DELAYS, MAX_POLL
from shared.domain.step import StepKind
from shared.domain.verdict import Outcome
from shared.domain.why import Why
from tests.fakes.queue import RememberingQueue
from tests.unit.worker.rig import CONTENT, Rig, rigged

FAILURES = 3
"""The attempts of one call."""


@pytest.fixture
async def down() -> AsyncIterator[Rig]:
    """A rig whose Anchore is down; the first step finds it so and opens the breaker."""
    async with rigged(failures=FAILURES) as rig:
        await rig.anchore.stop()
        yield rig


async def test_a_step_that_finds_anchore_down_goes_on_as_the_next_check(down: Rig) -> None:
    await down.scan.request(down.step())
    assert down.breaker.state is BreakerState.OPEN
    check, delay = down.followed[-1]
    assert (check.kind, check.hop, check.attempt, check.began) == (StepKind.CHECK, 1, 0, 0)
    assert delay == 1
    assert await down.held()


async def test_whoever_waits_reads_since_when_anchore_is_down_and_why(down: Rig) -> None:
    await down.scan.request(down.step(why=Why.PREWARM))
    error = await down.error()
    assert error is not None
    assert (error.error, error.why) == (ErrorKind.TRANSIENT, Why.PREWARM)
    assert error.message.startswith(f"Anchore at {down.anchore.url} is taken for down since ")
    assert "cannot be asked (image_get)" in error.message


async def test_however_long_it_lasts_no_attempt_is_spent_and_the_image_has_one_chain(
    down: Rig,
) -> None:
    ends: list[StepOutcome] = []
    dispatch = Dispatch(
        scan=down.scan,
        follower=Follower(queue=MemoryQueue(clock=down.clock)),
        on_step=lambda step, outcome: ends.append(outcome),
    )
    await dispatch.handle(down.step())
    for hop in range(2, 100):
        step, delay = down.followed[-1]
        assert delay in DELAYS
        assert delay <= MAX_POLL
        down.clock.advance(1000 * delay)
        assert await down.held()
        await dispatch.handle(step)
        assert (down.next_check().hop, down.next_check().attempt) == (hop, 0)
    assert set(ends) == {StepOutcome.DONE}
    assert {step.chain for step, _ in down.followed} == {"request-0"}
    assert down.clock.now() - down.followed[0][0].first_seen > 30 * MINUTE


async def test_who_asks_meanwhile_adds_nothing(down: Rig) -> None:
    await down.scan.request(down.step())
    await down.scan.request(down.step())
    assert len(down.followed) == 1


async def test_when_anchore_is_back_the_next_check_submits_the_image_once_and_judges_it(
    down: Rig,
) -> None:
    await down.scan.request(down.step())
    for _ in range(3):
        down.clock.advance(1000 * down.followed[-1][1])
        await down.scan.check(down.next_check())
    await down.anchore.start()
    down.clock.advance(1000 * down.followed[-1][1])
    await down.scan.check(down.next_check())
    assert down.breaker.state is BreakerState.CLOSED
    assert down.anchore.store.submits == {CONTENT.digest: 1}
    down.anchore.store.finish(CONTENT.digest)
    await down.scan.check(down.next_check())
    verdict = await down.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS
    assert not await down.held()


async def test_a_failed_analysis_of_before_the_outage_is_begun_anew_after_it(down: Rig) -> None:
    down.anchore.store.know(CONTENT.digest, down.reference.tagged, status="analysis_failed")
    await down.scan.request(down.step())
    await down.anchore.start()
    down.clock.advance(1_000)
    await down.scan.check(down.next_check())
    assert down.anchore.store.submits == {CONTENT.digest: 1}


async def test_an_analysis_that_runs_through_an_outage_is_evaluated_after_it() -> None:
    async with rigged(failures=FAILURES) as rig:
        await rig.scan.request(rig.step())
        began = rig.next_check().began
        await rig.anchore.stop()
        await rig.scan.check(rig.next_check())
        check, delay = rig.followed[-1]
        assert check.began == began + 1000 * delay
        rig.anchore.store.finish(CONTENT.digest)
        await rig.anchore.start()
        rig.clock.advance(1_000)
        await rig.scan.check(rig.next_check())
        assert await rig.verdict() is not None
        assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_an_outage_longer_than_any_analysis_gives_none_up_and_is_not_measured() -> None:
    async with rigged(failures=FAILURES) as rig:
        await rig.scan.request(rig.step())
        await rig.anchore.stop()
        while rig.clock.now() - rig.followed[0][0].first_seen < 90 * MINUTE:
            rig.clock.advance(1000 * rig.followed[-1][1])
            await rig.scan.check(rig.next_check())
        await rig.anchore.start()
        rig.clock.advance(1000 * rig.followed[-1][1])
        checks = len(rig.followed)
        await rig.scan.check(rig.next_check())
        assert len(rig.followed) == checks + 1
        assert await rig.held()
        rig.anchore.store.finish(CONTENT.digest)
        rig.clock.advance(1_000)
        await rig.scan.check(rig.next_check())
        assert await rig.verdict() is not None
        assert rig.quick.analyses.end_soon


async def test_what_failed_before_an_outage_or_a_wait_for_the_budget_is_not_forgotten() -> None:
    async with rigged(polls=0.1, failures=FAILURES) as rig:
        queue = RememberingQueue(clock=rig.clock)
        dispatch = Dispatch(scan=rig.scan, follower=Follower(queue=queue))
        await rig.scan.request(rig.step())
        rig.anchore.store.fault("image_get", "429", value="20")
        await dispatch.handle(rig.next_check())
        assert (await queue.depths()).delayed[30] == 1
        failed = queue.published[-1]
        assert failed.attempt == 1
        rig.clock.advance(5_000)
        await dispatch.handle(failed)
        put_off = rig.next_check()
        assert (put_off.hop, put_off.attempt, put_off.history) == (2, 1, failed.history)
        rig.clock.advance(10_000)
        await rig.anchore.stop()
        await dispatch.handle(put_off)
        sat_out = rig.next_check()
        assert (sat_out.hop, sat_out.attempt, sat_out.history) == (3, 1, failed.history)
        await rig.anchore.start()
        rig.clock.advance(10_000)
        await dispatch.handle(sat_out)
        twice = queue.published[-1]
        assert twice.attempt == 2
        assert [line.count("answered 429 to image_get") for line in twice.history] == [1, 1]
        rig.anchore.store.heal()
        rig.clock.advance(30_000)
        await dispatch.handle(twice)
        assert (rig.next_check().attempt, rig.next_check().history) == (0, ())


async def test_an_answer_that_refuses_us_is_no_outage() -> None:
    async with rigged(failures=FAILURES) as rig:
        rig.anchore.store.fault("*", "401")
        await rig.scan.request(rig.step())
        error = await rig.error()
        assert error is not None
        assert error.error is ErrorKind.MISCONFIGURED
        assert rig.breaker.state is BreakerState.CLOSED
        assert not await rig.held()
