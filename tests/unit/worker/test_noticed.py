"""Anchore says that a verdict may be another one now: judged anew is what was judged before."""

from shared.domain.reference import parse_reference
from shared.domain.step import Lane, Step
from shared.domain.verdict import Outcome, Subject, Verdict
from shared.domain.why import Why
from tests.fakes.registry import answer
from tests.unit.worker.rig import CONTENT, QUESTION, Rig


async def _judged(rig: Rig) -> Verdict:
    """A fresh pass."""
    rig.anchore.store.know(CONTENT.digest, rig.subject.scan_tag)
    await rig.scan.request(rig.step())
    verdict = await rig.verdict()
    assert verdict is not None
    return verdict


def _noticed(rig: Rig, *, at: int) -> Step:
    reference = f"{rig.reference}@{CONTENT.digest}"
    return rig.step(
        why=Why.NOTICE, lane=Lane.PREWARM, reference=parse_reference(reference), first_seen=at
    )


async def test_a_fresh_verdict_is_judged_anew_and_tells_why(rig: Rig) -> None:
    before = await _judged(rig)
    rig.anchore.store.decide(CONTENT.digest, "stop")
    rig.clock.advance(2_000)
    await rig.scan.request(_noticed(rig, at=before.evaluated_at + 1))
    (written, _) = rig.verdicts[-1]
    assert (written.outcome, written.why) == (Outcome.FAIL, Why.NOTICE)
    assert not await rig.held()


async def test_where_its_tag_has_moved_on_it_is_judged_anew_without_the_tag(rig: Rig) -> None:
    before = await _judged(rig)
    noticed = _noticed(rig, at=before.evaluated_at + 1)
    without = await rig.move_tag_on()
    rig.anchore.store.know(CONTENT.digest, without.scan_tag)
    rig.anchore.store.decide(CONTENT.digest, "stop")
    await rig.scan.request(noticed)
    judged = await rig.ledger.verdict(without, QUESTION)
    assert judged is not None
    assert judged.outcome is Outcome.FAIL


async def test_what_was_judged_since_the_notice_is_not_judged_twice(rig: Rig) -> None:
    before = await _judged(rig)
    checks = rig.anchore.store.calls["image_check"]
    await rig.scan.request(_noticed(rig, at=before.evaluated_at))
    assert rig.anchore.store.calls["image_check"] == checks
    assert not await rig.held()


async def test_what_was_never_judged_is_asked_of_anchore_by_no_notice(rig: Rig) -> None:
    await rig.scan.request(_noticed(rig, at=rig.clock.now()))
    assert rig.anchore.store.calls == {}
    assert (await rig.verdict(), rig.followed) == (None, [])
    # Whoever wants it is not kept from it.
    assert not await rig.held()


async def test_what_could_not_be_judged_before_has_not_changed_either(rig: Rig) -> None:
    rig.anchore.store.fault("image_add", "404", times=1)
    await rig.scan.request(rig.step())
    calls = rig.anchore.store.calls.copy()
    rig.anchore.store.heal()
    await rig.scan.request(_noticed(rig, at=rig.clock.now() + 1))
    assert rig.anchore.store.calls == calls


async def test_a_notice_about_another_tags_digest_judges_nothing(rig: Rig) -> None:
    await _judged(rig)
    checks = rig.anchore.store.calls["image_check"]
    other = rig.another_image()
    step = rig.step(
        why=Why.NOTICE,
        reference=parse_reference(f"{other}@{CONTENT.digest}"),
        first_seen=rig.clock.now() + 60_000,
    )
    await rig.scan.request(step)
    assert rig.anchore.store.calls["image_check"] == checks
    assert (
        await rig.ledger.verdict(Subject(other.repository, CONTENT.digest, "1"), QUESTION) is None
    )


async def test_what_the_registry_does_not_have_is_written_down_for_nobody(rig: Rig) -> None:
    nowhere = Subject(rig.reference.repository, "sha256:" + "0" * 64)
    reference = parse_reference(f"{nowhere.repository}@{nowhere.digest}")
    await rig.scan.request(rig.step(why=Why.NOTICE, reference=reference))
    assert (rig.verdicts, await rig.error(nowhere)) == ([], None)
    assert rig.anchore.store.calls == {}


async def test_a_notice_is_not_tried_again_while_a_registry_is_away(rig: Rig) -> None:
    rig.registry.fault("manifests", answer(503))
    await rig.scan.request(_noticed(rig, at=rig.clock.now()))
    assert (rig.verdicts, rig.followed) == ([], [])


async def test_a_known_image_is_judged_anew_though_its_registry_is_away(rig: Rig) -> None:
    before = await _judged(rig)
    rig.registry.fault("manifests", answer(503))
    rig.anchore.store.decide(CONTENT.digest, "stop")
    rig.clock.advance(2_000)
    await rig.scan.request(_noticed(rig, at=before.evaluated_at + 1))
    assert rig.verdicts[-1][0].outcome is Outcome.FAIL
