"""Verdicts of a policy that was replaced: for how long they are served, and what is said when they
are not (docs/design/behaviour.md 2)."""

import msgspec
import pytest

from services.webhook.catalogue import Catalogue, Image, Known, Missing, Need
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE, Index, Manifest, index_key
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision, revision_key
from shared.domain.rules import Rules
from shared.domain.verdict import (
    Outcome,
    Subject,
    Verdict,
    error_verdict,
    last_error_key,
    verdict_key,
)
from tests.unit.webhook.test_catalogue import NOW, QUESTION, REPOSITORY, A, B, C, Shelf, need, state

HOUR = 60 * MINUTE
PINNED = f"app:1@{A}"
SUBJECT = Subject(REPOSITORY, A, "1")
CHANGED = "the policy has changed since it was judged"
FAILED_ANEW = f"{CHANGED}, and judging it anew failed: because"


class Replaced(Shelf):
    """Records of images that an old policy judged; a new one answers since `since` ago."""

    def __init__(self, *, since: int, grace: int = HOUR) -> None:
        super().__init__()
        self._grace = grace
        self.records[revision_key(QUESTION)] = Revision(
            QUESTION, "baseline", "new", seen_at=NOW - since // 2, since=NOW - since
        )

    def old(
        self, digest: str = A, outcome: Outcome = Outcome.PASS, *, tag: str | None = "1"
    ) -> "Replaced":
        return self._verdict(digest, outcome, tag, "old", age=3 * DAY)

    def new(
        self, digest: str = A, outcome: Outcome = Outcome.PASS, *, tag: str | None = "1"
    ) -> "Replaced":
        return self._verdict(digest, outcome, tag, "new", age=MINUTE)

    def _verdict(
        self, digest: str, outcome: Outcome, tag: str | None, revision: str, *, age: int
    ) -> "Replaced":
        subject = Subject(REPOSITORY, digest, tag)
        verdict = Verdict(subject, QUESTION, outcome, NOW - age, revision=revision)
        self.records[verdict_key(subject, QUESTION)] = verdict
        return self

    def tried(self, *, age: int, kind: ErrorKind = ErrorKind.ANALYSIS_FAILED) -> "Replaced":
        """Judging it anew failed `age` ago."""
        error = error_verdict(SUBJECT, QUESTION, kind=kind, message="because", now=NOW - age)
        self.records[last_error_key(SUBJECT, QUESTION)] = error
        return self

    def answer(self, written: str = PINNED) -> Known | Missing:
        image = Image(written, parse_reference(written), True, QUESTION)
        return Catalogue(
            image=image, rules=Rules(), now=NOW, fetch=self.fetch, policy_grace=self._grace
        ).judge()


def served(answer: Known | Missing) -> tuple[State, Need | None, bool]:
    """What is said, what is asked behind it, and whether that is longer than it should be."""
    assert isinstance(answer, Known)
    return answer.judgement.state, answer.refresh, answer.overrun


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
def test_within_its_grace_it_is_served_and_judged_anew(outcome: Outcome) -> None:
    shelf = Replaced(since=HOUR - 1).old(outcome=outcome).tried(age=30 * MINUTE)
    assert served(shelf.answer()) == (State(outcome), Need.REQUEST, False)


def test_after_its_grace_it_is_served_no_longer_once_judging_it_anew_was_tried() -> None:
    answer = Replaced(since=HOUR).old().tried(age=30 * MINUTE).answer()
    assert need(answer) is Need.REQUEST
    assert isinstance(answer, Missing)
    assert (answer.note, answer.resting) == (CHANGED, False)
    assert answer.subjects == (SUBJECT, Subject(REPOSITORY, A))


def test_after_its_grace_it_is_served_as_long_as_nobody_tried_and_that_is_told() -> None:
    assert served(Replaced(since=HOUR).old().answer()) == (State.PASS, Need.REQUEST, True)
    before = Replaced(since=2 * DAY).old().tried(age=2 * DAY + 1)
    assert served(before.answer()) == (State.PASS, Need.REQUEST, True)
    at_once = Replaced(since=HOUR).old().tried(age=HOUR)
    assert need(at_once.answer()) is Need.REQUEST


def test_without_any_grace_it_is_not_served_from_the_moment_the_new_policy_is_known() -> None:
    strict = Replaced(since=0, grace=0).old()
    assert need(strict.answer()) is Need.REQUEST
    assert state(strict.new().answer()) is State.PASS


@pytest.mark.parametrize("since", [HOUR - 1, HOUR, 5 * DAY])
@pytest.mark.parametrize("grace", [0, HOUR])
def test_a_verdict_of_the_policy_that_answers_now_is_no_matter_of_grace(
    since: int, grace: int
) -> None:
    shelf = Replaced(since=since, grace=grace).new().tried(age=1)
    assert served(shelf.answer()) == (State.PASS, None, False)


def test_the_error_says_why_while_it_lasts_and_beside_it_that_the_policy_changed() -> None:
    answer = Replaced(since=2 * HOUR).old().tried(age=MINUTE).answer()
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.judgement.message) == (State.ERROR, FAILED_ANEW)
    passing = Replaced(since=2 * HOUR).old().tried(age=1, kind=ErrorKind.TRANSIENT).answer()
    assert isinstance(passing, Missing)
    assert (passing.note, passing.resting) == (FAILED_ANEW, True)


def test_an_answer_within_the_grace_says_so_and_holds_no_longer_than_it() -> None:
    shelf = Replaced(since=HOUR - MINUTE).old().tried(age=1_000)
    answer = shelf.answer()
    assert isinstance(answer, Known)
    assert (answer.refresh, answer.until) == (None, NOW + MINUTE)
    assert answer.judgement.message == "the policy has changed since, it is judged anew"


def test_of_two_tags_the_one_holds_that_was_judged_by_the_policy_of_now() -> None:
    both = Replaced(since=2 * HOUR).old(outcome=Outcome.PASS).new(outcome=Outcome.FAIL, tag=None)
    assert served(both.answer()) == (State.FAIL, None, False)
    anew = Replaced(since=2 * HOUR).old(outcome=Outcome.FAIL).new(tag=None)
    assert served(anew.answer()) == (State.PASS, None, False)
    first = Replaced(since=1).old().old(outcome=Outcome.FAIL, tag=None)
    first.point(A)
    assert state(first.answer()) is State.PASS
    tried = Replaced(since=HOUR).old().old(outcome=Outcome.FAIL, tag=None).tried(age=MINUTE)
    tried.point(A)
    assert state(tried.answer()) is State.FAIL


def test_a_manifest_of_an_index_that_is_served_no_longer_is_as_unknown() -> None:
    shelf = Replaced(since=2 * HOUR).old().new(B)
    manifests = tuple(Manifest(digest, "linux", "amd64") for digest in (A, B))
    shelf.records[index_key(C)] = Index(C, manifests, NOW)
    index = f"app:1@{C}"
    assert served(shelf.answer(index)) == (State.PASS, Need.REQUEST, True)
    shelf.tried(age=HOUR)
    assert need(shelf.answer(index)) is Need.REQUEST
    strict = Replaced(since=1, grace=0).old(A, Outcome.FAIL).new(B)
    strict.records[index_key(C)] = shelf.records[index_key(C)]
    assert need(strict.answer(index)) is Need.REQUEST


def test_a_revision_that_was_renewed_counts_from_when_it_was_first_seen() -> None:
    shelf = Replaced(since=HOUR).old().tried(age=MINUTE)
    key = revision_key(QUESTION)
    revision = shelf.records[key]
    assert isinstance(revision, Revision)
    renewed = Revision(QUESTION, "baseline", "new", seen_at=NOW).after(revision)
    shelf.records[key] = renewed
    assert state(shelf.answer()) is State.ERROR
    shelf.records[key] = msgspec.structs.replace(renewed, since=NOW)
    assert state(shelf.answer()) is State.PASS
