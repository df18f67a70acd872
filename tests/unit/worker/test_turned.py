"""What became of passes that were judged anew, and which step makes it be judged anew."""

import msgspec
import pytest

from services.worker.turned import Anew, following, tell
from shared.domain.errors import ErrorKind
from shared.domain.pointer import MINUTE
from shared.domain.revision import Revision
from shared.domain.step import Lane
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    Turn,
    Verdict,
    error_verdict,
)
from shared.domain.why import Why
from tests.unit.worker.rig import CONTENT, QUESTION, Rig

SUBJECT = Subject("registry.corp/team/app", "sha256:" + "a" * 64, "1")


def verdict(outcome: Outcome, at: int, revision: str = "one", **more: object) -> Verdict:
    plain = Verdict(SUBJECT, Question(), outcome, evaluated_at=at, revision=revision)
    return msgspec.structs.replace(plain, **more)


def test_a_fail_that_replaces_a_pass_of_another_policy_was_turned_by_it() -> None:
    turned = following(verdict(Outcome.PASS, 1), verdict(Outcome.FAIL, 2, "two"))
    assert (turned.turned_at, turned.turned_by) == (2, Turn.POLICY)


def test_a_fail_that_replaces_a_pass_of_the_same_policy_was_turned_by_the_feed() -> None:
    turned = following(verdict(Outcome.PASS, 1), verdict(Outcome.FAIL, 2))
    assert (turned.turned_at, turned.turned_by) == (2, Turn.FEED)


def test_a_fail_that_goes_on_failing_keeps_when_and_why_it_turned() -> None:
    first = following(verdict(Outcome.PASS, 1), verdict(Outcome.FAIL, 2))
    later = following(first, verdict(Outcome.FAIL, 3, "two"))
    assert (later.turned_at, later.turned_by) == (2, Turn.FEED)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, Outcome.FAIL),
        (None, Outcome.PASS),
        (Outcome.FAIL, Outcome.FAIL),
        (Outcome.FAIL, Outcome.PASS),
        (Outcome.PASS, Outcome.PASS),
    ],
)
def test_nothing_else_turns(before: Outcome | None, after: Outcome) -> None:
    now = verdict(after, 2, "two")
    assert following(verdict(before, 1) if before else None, now) == now


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Outcome.PASS, verdict(Outcome.PASS, 2), [(Turn.FEED, Anew.KEPT)]),
        (Outcome.PASS, verdict(Outcome.FAIL, 2), [(Turn.FEED, Anew.TURNED)]),
        (Outcome.PASS, verdict(Outcome.PASS, 2, "two"), [(Turn.POLICY, Anew.KEPT)]),
        (Outcome.PASS, verdict(Outcome.FAIL, 2, "two"), [(Turn.POLICY, Anew.TURNED)]),
        (Outcome.FAIL, verdict(Outcome.PASS, 2), []),
        (None, verdict(Outcome.PASS, 2), []),
        (
            Outcome.PASS,
            error_verdict(SUBJECT, Question(), kind=ErrorKind.UNTRUSTED, message="", now=2),
            [],
        ),
    ],
)
def test_of_passes_that_were_judged_anew_it_is_told_what_became_of_them(
    before: Outcome | None, after: Verdict, told: list[tuple[Turn, Anew]]
) -> None:
    heard: list[tuple[Turn, Anew]] = []
    tell(
        lambda turn, anew: heard.append((turn, anew)), verdict(before, 1) if before else None, after
    )
    assert heard == told


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (Outcome.PASS, Outcome.FAIL, Outcome.FAIL),
        (Outcome.FAIL, Outcome.PASS, Outcome.FAIL),
        (Outcome.PASS, Outcome.PASS, Outcome.PASS),
    ],
)
async def test_of_two_verdicts_of_one_time_the_fail_counts(
    rig: Rig, first: Outcome, second: Outcome, kept: Outcome
) -> None:
    at = rig.clock.now()
    for outcome in (first, second):
        await rig.ledger.write_verdict(verdict(outcome, at), chain="")
    known = await rig.ledger.verdict(SUBJECT, Question())
    assert known == verdict(kept, at)


async def test_a_pass_of_the_second_after_a_fail_counts(rig: Rig) -> None:
    at = rig.clock.now() - 1_000
    await rig.ledger.write_verdict(verdict(Outcome.FAIL, at), chain="")
    await rig.ledger.write_verdict(verdict(Outcome.PASS, at + 1_000), chain="")
    known = await rig.ledger.verdict(SUBJECT, Question())
    assert known == verdict(Outcome.PASS, at + 1_000)


async def _asked_anew(rig: Rig, why: Why, *, age: int, revision: str = "") -> bool:
    """Whether a request of `why` has an image judged anew whose verdict is `age` old."""
    at = rig.clock.now() - age
    known = Verdict(rig.subject, QUESTION, Outcome.PASS, evaluated_at=at, revision="one")
    await rig.ledger.write_verdict(known, chain="")
    if revision:
        record = Revision(QUESTION, "fake-baseline", revision, seen_at=rig.clock.now())
        await rig.ledger.write_revision(record)
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step(why=why, lane=Lane.PREWARM))
    return rig.anchore.store.calls["image_check"] > 0


@pytest.mark.parametrize(
    ("why", "age", "anew"),
    [
        (Why.REFRESH, 10 * MINUTE, False),
        (Why.REFRESH, 50 * MINUTE, True),
        (Why.REFRESH, 61 * MINUTE, True),
        (Why.ADMISSION, 50 * MINUTE, False),
        (Why.PREWARM, 50 * MINUTE, False),
        (Why.ADMISSION, 61 * MINUTE, True),
        (Why.OPERATOR, 0, True),
    ],
)
async def test_what_is_due_is_judged_anew_for_a_refresh_and_for_nobody_else(
    rig: Rig, why: Why, age: int, anew: bool
) -> None:
    assert await _asked_anew(rig, why, age=age) == anew


async def test_what_a_policy_replaced_is_judged_anew_however_young_it_is(rig: Rig) -> None:
    assert await _asked_anew(rig, Why.REFRESH, age=MINUTE, revision="two")


async def _judged_without_its_tag(rig: Rig, before: Outcome | None) -> Verdict:
    """An image by tag and digest that fails, whose tag moved on after it was judged by it."""
    pinned = msgspec.structs.replace(rig.reference, digest=CONTENT.digest)
    if before is not None:
        by_tag = verdict(before, rig.clock.now(), subject=rig.subject)
        await rig.ledger.write_verdict(by_tag, chain="")
    without = await rig.move_tag_on()
    rig.anchore.store.know(CONTENT.digest, without.scan_tag)
    rig.anchore.store.decide(CONTENT.digest, "stop")
    rig.clock.advance(61 * MINUTE)
    await rig.scan.request(rig.step(reference=pinned, why=Why.REFRESH, lane=Lane.PREWARM))
    judged = await rig.ledger.verdict(without, QUESTION)
    assert judged is not None
    assert judged.outcome is Outcome.FAIL
    return judged


async def test_where_its_tag_has_moved_on_a_fail_turns_the_pass_that_it_had_by_it(rig: Rig) -> None:
    judged = await _judged_without_its_tag(rig, Outcome.PASS)
    assert judged.turned_at == judged.evaluated_at
    assert judged.turned_by is not None


@pytest.mark.parametrize("before", [None, Outcome.FAIL])
async def test_where_its_tag_has_moved_on_a_fail_that_never_passed_turns_nothing(
    rig: Rig, before: Outcome | None
) -> None:
    judged = await _judged_without_its_tag(rig, before)
    assert (judged.turned_at, judged.turned_by) == (None, None)
