"""A check that looks quickly does what a check does, sooner."""

import msgspec
import pytest

from services.worker.budget import Poll
from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import Outcome
from shared.domain.why import Why
from tests.unit.worker.rig import CONTENT, Rig, rigged


async def test_a_young_analysis_is_checked_at_once_and_then_again_and_again() -> None:
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step())
        check, delay = rig.followed[-1]
        assert (check.kind, check.hop, delay) == (StepKind.CHECK, 1, 0)

        def meanwhile(pauses: int) -> bool:
            if pauses == 3:
                rig.anchore.store.finish(CONTENT.digest)
            return True

        rig.while_paused = meanwhile
        await rig.scan.check(check)
        verdict = await rig.verdict()
        assert verdict is not None
        assert (verdict.outcome, verdict.scan_id) == (Outcome.PASS, check.chain)
        assert rig.polls == [Poll.CHECK, *[Poll.QUICK] * 3]
        assert len(rig.followed) == 1
        assert not await rig.held()


async def test_after_a_second_of_looking_the_next_check_goes_on_at_once_until_the_scan_is_old() -> (
    None
):
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step())
        while rig.followed[-1][1] == 0:
            assert await rig.held()
            await rig.scan.check(rig.next_check())
        hops = [step.hop for step, _ in rig.followed]
        delays = [delay for _, delay in rig.followed]
        assert hops == list(range(1, len(hops) + 1))
        assert delays == [0] * (len(hops) - 1) + [1]
        looked_for = rig.clock.now() - rig.next_check().began
        assert 5_000 <= looked_for <= 6_000


async def test_the_checks_of_a_request_for_prewarm_are_looked_at_in_their_own_lane() -> None:
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step(lane=Lane.PREWARM))
        assert rig.next_check().lane is Lane.CHECK_PREWARM
        await rig.scan.check(rig.next_check())
        assert Poll.QUICK in rig.polls


async def test_a_process_that_is_to_stop_publishes_the_next_check_and_ends_the_step() -> None:
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step())
        rig.while_paused = lambda pauses: pauses < 2
        await rig.scan.check(rig.next_check())
        assert rig.next_check().hop == 2
        assert len(rig.paused) == 2
        assert await rig.held()


async def test_a_failure_seen_by_a_quick_look_is_submitted_no_second_time() -> None:
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step())

        def meanwhile(pauses: int) -> bool:
            rig.anchore.store.fail(CONTENT.digest, "no such layer")
            return True

        rig.while_paused = meanwhile
        # Although it looks as a chain does that was never looked at before.
        await rig.scan.check(msgspec.structs.replace(rig.next_check(), began=0))
        error = await rig.error()
        assert error is not None
        assert error.error is ErrorKind.ANALYSIS_FAILED
        assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_a_scanner_that_fails_under_a_quick_look_is_a_failure_of_the_step() -> None:
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step())

        def meanwhile(pauses: int) -> bool:
            rig.anchore.store.fault("*", "500")
            return True

        rig.while_paused = meanwhile
        with pytest.raises(TransientFailure, match="answered 500"):
            await rig.scan.check(rig.next_check())
        assert await rig.error() is not None
        assert not await rig.held()


async def test_what_was_analysed_before_says_nothing_of_how_long_analyses_take(rig: Rig) -> None:
    rig.quick.analyses.ended(60.0)
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    for _ in range(3):
        await rig.scan.request(rig.step(why=Why.OPERATOR))
    assert len(rig.verdicts) == 3
    assert not rig.quick.analyses.end_soon


async def test_where_an_analysis_took_long_the_next_one_is_left_to_the_ladder() -> None:
    async with rigged(places=1) as rig:
        await rig.scan.request(rig.step())
        rig.clock.advance(60_000)
        rig.anchore.store.finish(CONTENT.digest)
        await rig.scan.check(rig.next_check())
        assert await rig.verdict() is not None
        other = rig.another_image()
        await rig.scan.request(rig.step(reference=other))
        assert rig.followed[-1][1] == 1
