"""An analysis that runs for too long is begun anew once; one that waits is waited for."""

import msgspec

from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE
from shared.domain.verdict import Outcome, Question
from tests.unit.worker.rig import CONTENT, Rig, rigged


async def _runs(rig: Rig, minutes: int) -> None:
    """The analysis runs, and has for `minutes` when it is looked at the second time."""
    rig.anchore.store.begin(CONTENT.digest)
    await rig.scan.check(rig.next_check())
    rig.clock.advance(minutes * MINUTE)
    await rig.scan.check(rig.next_check())


async def _why_not(rig: Rig) -> tuple[ErrorKind | None, str]:
    error = await rig.error()
    return (error.error, error.message) if error else (None, "")


async def test_an_analysis_that_runs_for_too_long_is_begun_anew_by_force(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    await _runs(rig, 59)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    rig.clock.advance(2 * MINUTE)
    await rig.scan.check(rig.next_check())
    assert rig.anchore.store.submits == {CONTENT.digest: 2}
    check = rig.next_check()
    assert (check.freed, check.running, check.began) == (True, 0, rig.clock.now())
    assert await _why_not(rig) == (None, "")
    assert await rig.held()
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(check)
    verdict = await rig.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS


async def test_one_that_runs_for_too_long_again_is_given_up(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    await _runs(rig, 61)
    await _runs(rig, 59)
    assert await _why_not(rig) == (None, "")
    rig.clock.advance(2 * MINUTE)
    await rig.scan.check(rig.next_check())
    kind, why = await _why_not(rig)
    assert kind is ErrorKind.ANALYSIS_FAILED
    assert "ran for more than 3600 s, begun anew in vain: see the log of the scanner's" in why
    assert rig.anchore.store.submits == {CONTENT.digest: 2}
    assert not await rig.held()


async def test_what_waits_for_an_analyzer_is_not_forced_and_waited_for_longer(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    rig.clock.advance(DAY)
    await rig.scan.check(rig.next_check())
    assert await _why_not(rig) == (None, "")
    rig.clock.advance(MINUTE)
    await rig.scan.check(rig.next_check())
    kind, why = await _why_not(rig)
    assert kind is ErrorKind.ANALYSIS_FAILED
    assert "has not begun for 86460 s: see whether the scanner's analyzers work" in why
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_an_analysis_that_goes_back_to_waiting_runs_from_its_next_beginning_on(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    await _runs(rig, 50)
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged, status="not_analyzed")
    await rig.scan.check(rig.next_check())
    assert rig.next_check().running == 0
    await _runs(rig, 50)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_an_analysis_runs_no_longer_for_a_time_in_which_nobody_could_ask() -> None:
    async with rigged(failures=3) as rig:
        await rig.scan.request(rig.step())
        await _runs(rig, 50)
        rig.anchore.store.fault("*", "500")
        for _ in range(100):
            await rig.scan.check(rig.next_check())
            rig.clock.advance(1_000 * rig.followed[-1][1])
        assert len({step.began for step, _ in rig.followed}) > 50
        rig.anchore.store.heal()
        await rig.scan.check(rig.next_check())
        assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_checks_that_somebody_made_up_begin_it_anew_once_in_that_time(rig: Rig) -> None:
    """Who may write to the lane could name any time since which the analysis runs."""
    await rig.scan.request(rig.step())
    await _runs(rig, 1)
    for number in range(3):
        forged = msgspec.structs.replace(
            rig.next_check(),
            id=f"forged-{number}",
            question=Question(policy=f"made-up-{number}"),
            chain=f"forged-{number}",
            began=1,
            running=1,
        )
        await rig.scan.check(forged)
        rig.anchore.store.begin(CONTENT.digest)
        rig.clock.advance(2 * MINUTE)
    assert rig.anchore.store.submits == {CONTENT.digest: 2}


async def test_what_was_begun_anew_a_moment_ago_has_not_run_for_too_long(rig: Rig) -> None:
    """Whatever a message says: a chain of one's own could be had with a request."""
    await rig.scan.request(rig.step())
    await _runs(rig, 1)
    for _ in range(3):
        told = msgspec.structs.replace(rig.next_check(), began=1, running=1, freed=False)
        await rig.scan.check(told)
        rig.anchore.store.begin(CONTENT.digest)
        rig.clock.advance(2 * MINUTE)
    assert rig.anchore.store.submits == {CONTENT.digest: 2}
    assert await _why_not(rig) == (None, "")


async def test_one_that_ran_for_too_long_and_waits_again_is_not_forced(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    await _runs(rig, 59)
    rig.clock.advance(2 * MINUTE)
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged, status="not_analyzed")
    await rig.scan.check(rig.next_check())
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    assert not rig.next_check().freed
