"""A wake is a hint that an analysis is over: it saves the wait for the chain's next check."""

import msgspec

from services.worker.budget import Poll
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Outcome, Subject
from shared.domain.why import Why
from tests.unit.worker.rig import CONTENT, Rig, rigged


def _wake(rig: Rig, subject: Subject | None = None) -> Step:
    return rig.step(kind=StepKind.WAKE, lane=Lane.CHECK, claim="", subject=subject or rig.subject)


async def _under_way(rig: Rig, lane: Lane = Lane.ADMISSION) -> Step:
    await rig.scan.request(rig.step(lane=lane))
    return rig.next_check()


async def test_what_is_analysed_is_judged_for_the_chain_that_waits_and_the_chain_ends(
    rig: Rig,
) -> None:
    check = await _under_way(rig)
    rig.anchore.store.finish(CONTENT.digest)
    rig.clock.advance(2_000)
    await rig.scan.wake(_wake(rig))
    verdict = await rig.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.scan_id) == (Outcome.PASS, check.chain)
    assert not await rig.held()
    assert rig.verdicts[-1][1] == 2.0
    checks = rig.anchore.store.calls["image_check"]
    followed = len(rig.followed)
    await rig.scan.check(check)
    assert rig.anchore.store.calls["image_check"] == checks
    assert len(rig.followed) == followed
    assert not await rig.held()


async def test_a_verdict_tells_who_wanted_the_scan_and_not_who_woke_it(rig: Rig) -> None:
    await _under_way(rig, Lane.PREWARM)
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.wake(_wake(rig))
    verdict = await rig.verdict()
    assert verdict is not None
    assert verdict.why is Why.PREWARM


async def test_what_is_not_analysed_yet_is_left_to_its_chain(rig: Rig) -> None:
    await _under_way(rig)
    await rig.scan.wake(_wake(rig))
    assert await rig.verdict() is None
    assert len(rig.followed) == 1
    assert await rig.held()


async def test_a_failed_analysis_is_left_to_its_chain(rig: Rig) -> None:
    await _under_way(rig)
    rig.anchore.store.fail(CONTENT.digest)
    await rig.scan.wake(_wake(rig))
    assert await rig.error() is None
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    assert await rig.held()


async def test_where_nobody_waits_nobody_is_asked(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.resolve(rig.step())
    await rig.scan.wake(_wake(rig))
    assert not rig.anchore.store.calls
    assert rig.polls == []
    assert await rig.verdict() is None


async def test_of_many_wakes_of_one_scan_one_a_second_costs_a_look(rig: Rig) -> None:
    await _under_way(rig)
    looks = rig.anchore.store.calls["image_get"]
    for _ in range(50):
        await rig.scan.wake(_wake(rig))
    assert rig.anchore.store.calls["image_get"] == looks + 1
    rig.clock.advance(1_000)
    await rig.scan.wake(_wake(rig))
    assert rig.anchore.store.calls["image_get"] == looks + 2
    assert rig.polls.count(Poll.CHECK) == 2


async def test_without_budget_a_wake_asks_nothing() -> None:
    async with rigged(polls=0.1) as rig:
        await _under_way(rig)
        await rig.budget.take(Lane.CHECK)
        rig.anchore.store.finish(CONTENT.digest)
        await rig.scan.wake(_wake(rig))
        assert await rig.verdict() is None
        assert await rig.held()


async def test_a_wake_with_a_tag_that_lies_judges_nothing(rig: Rig) -> None:
    check = await _under_way(rig)
    lie = msgspec.structs.replace(rig.subject, tag="prod")
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.wake(_wake(rig, lie))
    assert await rig.ledger.verdict(lie, check.question) is None
    assert await rig.verdict() is None


async def test_an_anchore_that_fails_fails_no_wake(rig: Rig) -> None:
    await _under_way(rig)
    rig.anchore.store.fault("*", "500")
    await rig.scan.wake(_wake(rig))
    assert await rig.error() is None
    assert await rig.held()
