"""A policy that changed makes verdicts of the old one something to ask again."""

import msgspec
import pytest

from shared.domain.revision import RENEW, Revision, revision_key, revision_of
from shared.domain.verdict import Outcome, Question, Subject, Verdict

NOW = 1_800_000_000_000
REVISION = Revision(Question(), "baseline", "new", seen_at=NOW)
VERDICT = Verdict(
    subject=Subject("docker.io/library/app", "sha256:" + "a" * 64, "1"),
    question=Question(),
    outcome=Outcome.PASS,
    evaluated_at=NOW - 1,
    policy_id="baseline",
    revision="old",
)


@pytest.mark.parametrize(
    ("made_by", "age", "outdated"),
    [
        ("old", 1, True),
        ("old", 0, True),
        ("old", -1, False),
        ("new", 1, False),
        ("new", 0, False),
        ("", 1, False),
        ("", 0, False),
    ],
)
def test_a_verdict_is_outdated_by_another_revision_that_was_seen_then_or_later(
    made_by: str, age: int, outdated: bool
) -> None:
    verdict = msgspec.structs.replace(VERDICT, revision=made_by, evaluated_at=NOW - age)
    assert REVISION.outdates(verdict) is outdated


def test_a_revision_is_what_the_verdicts_answer_named() -> None:
    assert revision_of(VERDICT) == Revision(Question(), "baseline", "old", seen_at=NOW - 1)
    assert revision_of(msgspec.structs.replace(VERDICT, revision="")) is None


def test_a_revision_is_written_when_it_changes_and_before_it_ends() -> None:
    again = msgspec.structs.replace(REVISION, seen_at=NOW + 1)
    assert not REVISION.changes_to(again)
    assert REVISION.changes_to(msgspec.structs.replace(again, revision="newer"))
    assert REVISION.changes_to(msgspec.structs.replace(REVISION, seen_at=NOW + RENEW))
    assert REVISION.ends_at > NOW + RENEW


def test_a_renewal_keeps_since_when_a_revision_answers() -> None:
    renewed = msgspec.structs.replace(REVISION, seen_at=NOW + RENEW, since=NOW + RENEW)
    assert (REVISION.since, renewed.after(REVISION).since) == (NOW, NOW)
    assert renewed.after(REVISION).seen_at == NOW + RENEW
    assert REVISION.after(renewed).since == NOW
    assert renewed.after(None) == renewed


def test_a_revision_that_changes_answers_since_it_was_seen() -> None:
    newer = Revision(Question(), "baseline", "newer", seen_at=NOW + 1)
    assert newer.after(REVISION).since == NOW + 1
    assert REVISION.after(newer).since == NOW


def test_a_record_from_before_that_was_kept_answers_since_it_was_seen() -> None:
    old = msgspec.json.encode({"question": {}, "policy_id": "p", "revision": "r", "seen_at": NOW})
    assert msgspec.json.decode(old, type=Revision).since == NOW


def test_each_question_has_a_revision_of_its_own() -> None:
    assert revision_key(Question()) != revision_key(Question(policy="other"))
