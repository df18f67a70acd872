"""Analyses that nobody waits for are few at a time, so that people's images come first."""

import asyncio

import msgspec

from shared.domain.pointer import MINUTE
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Outcome, Question
from shared.domain.why import Why
from shared.ports.claims import Claim
from tests.fakes.registry import hang
from tests.unit.worker.rig import CONTENT, Rig, rigged
from tests.waiting import eventually


def _push(rig: Rig, name: str = "") -> Step:
    reference = rig.another_image(name) if name else rig.reference
    return rig.step(why=Why.PREWARM, lane=Lane.PREWARM, reference=reference)


async def _crowded(rig: Rig) -> None:
    """The only place is taken."""
    await rig.scan.request(_push(rig, "first"))
    assert rig.followed[-1][0].kind is StepKind.CHECK


async def test_a_push_without_a_place_comes_again_later_and_holds_nothing_meanwhile() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        push = _push(rig)
        await rig.scan.request(push)
        again, delay = rig.followed[-1]
        assert (again.kind, again.lane, again.attempt) == (StepKind.REQUEST, Lane.PREWARM, 0)
        assert (again.id, again.claim, delay) == (f"{push.id}.later.1", "", 1)
        assert rig.put_off == [push]
        assert CONTENT.digest not in rig.anchore.store.submits
        assert not await rig.held()
        assert await rig.error() is None


async def test_people_need_no_place_and_do_not_wait_for_what_was_put_off() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        await rig.scan.request(_push(rig))
        again = rig.next_check()
        await rig.scan.request(rig.step())
        assert rig.anchore.store.submits[CONTENT.digest] == 1
        assert rig.next_check().lane is Lane.CHECK
        first = rig.followed[0][0]
        assert first.subject is not None
        rig.anchore.store.finish(first.subject.digest)
        await rig.scan.check(first)
        await rig.scan.request(again)
        assert rig.anchore.store.submits[CONTENT.digest] == 1


async def test_what_was_put_off_is_asked_of_nobody_while_there_is_no_place() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        await rig.scan.request(_push(rig))
        calls = rig.anchore.store.calls.total()
        asked = len(rig.registry.requests)
        for _ in range(5):
            await rig.scan.request(rig.next_check())
        assert rig.next_check().id.endswith(".later.6")
        assert rig.anchore.store.calls.total() == calls
        assert len(rig.registry.requests) == asked


async def test_of_all_who_ask_for_one_image_meanwhile_one_comes_again() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        await rig.scan.request(_push(rig))
        again = rig.next_check()
        many = len(rig.followed)
        for _ in range(3):
            await rig.scan.request(msgspec.structs.replace(_push(rig), id="another"))
        assert len(rig.followed) == many
        await rig.scan.request(again)
        assert rig.next_check().id.endswith(".later.2")


async def test_who_has_a_place_keeps_nobody_from_asking_for_the_next_push() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        check, push = rig.next_check(), _push(rig)
        await rig.scan.request(push)
        again = rig.next_check()
        key = request_claim(StepKind.REQUEST, rig.reference, push.question)
        assert await rig.claims.claim(key, _push(rig), life=MINUTE) is Claim.HELD
        await _judged(rig, check)
        await rig.scan.request(again)
        assert await rig.claims.claim(key, _push(rig), life=MINUTE) is Claim.TAKEN


async def test_it_goes_ahead_once_a_verdict_has_freed_a_place() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        check, push = rig.next_check(), _push(rig)
        await rig.scan.request(push)
        again = rig.next_check()
        assert check.subject is not None
        rig.anchore.store.finish(check.subject.digest)
        await rig.scan.check(check)
        await rig.scan.request(again)
        assert rig.anchore.store.submits[CONTENT.digest] == 1
        assert rig.next_check().chain == push.id


async def test_a_push_that_died_with_a_place_goes_on_though_there_was_none_when_it_came_again() -> (
    None
):
    async with rigged(analyses=2) as rig:
        await rig.scan.request(_push(rig, "first"))
        first = rig.next_check()
        await rig.scan.request(_push(rig, "second"))
        second = rig.next_check()
        await rig.scan.request(_push(rig))
        again = rig.next_check()
        await _judged(rig, first)
        await _killed(rig, again)
        assert not await rig.leases.room(most=2)
        await rig.scan.request(again)
        once_more = rig.next_check()
        await _judged(rig, second)
        await rig.scan.request(once_more)
        assert rig.anchore.store.submits[CONTENT.digest] == 1
        assert rig.next_check().subject == rig.subject


async def _judged(rig: Rig, check: Step) -> None:
    """Its analysis is over, and its place free."""
    assert check.subject is not None
    rig.anchore.store.finish(check.subject.digest)
    await rig.scan.check(check)


async def _killed(rig: Rig, request: Step) -> None:
    """Its worker dies while the registry takes its time, with the last place in its hands."""
    rig.registry.fault(CONTENT.digest, hang)
    task = asyncio.create_task(rig.scan.request(request))

    async def crowded() -> bool:
        return not await rig.leases.room(most=2)

    await eventually(crowded)
    task.cancel()
    await asyncio.wait([task])
    rig.registry.heal()


async def test_what_anchore_knows_needs_no_place() -> None:
    async with rigged(analyses=1) as rig:
        await _crowded(rig)
        rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
        await rig.scan.request(_push(rig))
        verdict = await rig.verdict()
        assert verdict is not None
        assert verdict.outcome is Outcome.PASS
        assert rig.put_off == []


async def test_a_check_that_would_submit_without_a_place_becomes_a_request_for_later() -> None:
    async with rigged(analyses=1, failures=3) as rig:
        rig.anchore.store.fault("*", "500")
        await rig.scan.request(_push(rig))
        check = rig.next_check()
        assert check.kind is StepKind.CHECK
        rig.anchore.store.heal()
        rig.clock.advance(1_000 * rig.followed[-1][1])
        await _crowded(rig)
        await rig.scan.check(check)
        again = rig.next_check()
        assert (again.kind, again.lane, again.hop) == (StepKind.REQUEST, Lane.PREWARM, 1)
        assert (again.subject, again.chain) == (None, "")
        assert CONTENT.digest not in rig.anchore.store.submits
        assert not await rig.held()


async def test_a_chain_that_people_meet_goes_on_in_their_lane_and_frees_its_place() -> None:
    async with rigged(analyses=1) as rig:
        await rig.scan.request(_push(rig))
        assert rig.next_check().lane is Lane.CHECK_PREWARM
        await rig.scan.request(rig.step())
        assert len(rig.followed) == 1
        await rig.scan.check(rig.next_check())
        check = rig.next_check()
        assert (check.lane, check.hop) == (Lane.CHECK, 2)
        assert rig.anchore.store.submits == {CONTENT.digest: 1}
        await rig.scan.request(_push(rig, "another"))
        assert rig.put_off == []
        await rig.scan.check(check)
        assert rig.next_check().lane is Lane.CHECK


async def test_an_analysis_that_the_store_lost_count_of_has_its_place_again() -> None:
    async with rigged(analyses=1) as rig:
        await rig.scan.request(_push(rig))
        rig.clock.advance(10 * MINUTE)
        assert await rig.leases.room(most=1)
        await rig.scan.check(rig.next_check())
        assert not await rig.leases.room(most=1)
        await rig.scan.request(_push(rig, "another"))
        assert len(rig.put_off) == 1


async def test_several_questions_about_one_image_are_one_analysis_and_have_one_place() -> None:
    async with rigged(analyses=2) as rig:
        push = _push(rig)
        await rig.scan.request(push)
        question = Question(requirement="analysis")
        await rig.scan.request(msgspec.structs.replace(push, id="other", question=question))
        await rig.scan.request(_push(rig, "another"))
        assert rig.put_off == []
        assert rig.anchore.store.submits.total() == 2
