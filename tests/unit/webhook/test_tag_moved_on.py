"""An image by tag and digest whose tag has moved on: workers judge it anew without the tag, and
that verdict counts once it is there (docs/design/behaviour.md 2, docs/adr/0035)."""

import pytest

from services.webhook.catalogue import Known, Need
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.pointer import MINUTE, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.verdict import Outcome, Subject
from tests.unit.webhook.test_catalogue import REPOSITORY, A, B, C, Shelf, amd64, state
from tests.unit.webhook.test_policy_grace import Replaced, served

HOUR = 60 * MINUTE
PINNED = f"app:1@{A}"
PASS, FAIL = Outcome.PASS, Outcome.FAIL
UNTAGGED = Subject(REPOSITORY, A)


def judged(tagged: Outcome, untagged: Outcome, *, age: int = 0) -> Shelf:
    """Judged under the tag, and `age` ago but later without it."""
    return Shelf().judged(A, tagged, age=age + 2).judged(A, untagged, tag=None, age=age)


@pytest.mark.parametrize("age", [0, 2 * HOUR])
@pytest.mark.parametrize(("tagged", "untagged"), [(PASS, FAIL), (FAIL, PASS)])
def test_what_was_judged_last_counts(tagged: Outcome, untagged: Outcome, age: int) -> None:
    shelf = judged(tagged, untagged, age=age).point(B, previous=C)
    assert state(shelf.judge(PINNED)).value == untagged.value


def test_of_one_time_the_fail_counts() -> None:
    for tagged, untagged in ((PASS, FAIL), (FAIL, PASS)):
        shelf = Shelf().judged(A, tagged).judged(A, untagged, tag=None).point(B)
        assert state(shelf.judge(PINNED)) is State.FAIL


def test_a_verdict_of_before_the_tag_is_not_what_was_judged_last() -> None:
    shelf = Shelf().judged(A, FAIL, tag=None, age=2).judged(A, PASS).point(B)
    assert state(shelf.judge(PINNED)) is State.PASS


def test_the_tags_verdict_is_served_as_long_as_there_is_no_other() -> None:
    answer = Shelf().judged(A, age=2 * HOUR).point(B).judge(PINNED)
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.refresh) == (State.PASS, Need.REQUEST)
    assert answer.subjects == (UNTAGGED,), "whoever judges it anew does so without the tag"


@pytest.mark.parametrize(
    ("digest", "previous"),
    [(A, None), (B, A), (None, A)],
    ids=["is there", "was there just before", "is gone, and was there just before"],
)
@pytest.mark.parametrize("age", [0, 2 * HOUR])
def test_where_the_tag_is_what_workers_judge_by_its_verdict_holds(
    digest: str | None, previous: str | None, age: int
) -> None:
    shelf = judged(PASS, FAIL, age=age).point(digest, previous=previous)
    assert state(shelf.judge(PINNED)) is State.PASS


@pytest.mark.parametrize("age", [0, 2 * HOUR])
def test_of_a_tag_of_which_nothing_is_known_a_later_fail_counts_and_a_later_pass_does_not(
    age: int,
) -> None:
    """What a registry said of a tag that is gone ends within a minute."""
    assert state(judged(PASS, FAIL, age=age).judge(PINNED)) is State.FAIL
    assert state(judged(FAIL, PASS, age=age).judge(PINNED)) is State.FAIL
    earlier = Shelf().judged(A, FAIL, tag=None, age=2).judged(A, PASS)
    assert state(earlier.judge(PINNED)) is State.PASS


def test_of_a_tag_of_which_nothing_is_known_it_is_judged_anew_with_it_or_without() -> None:
    shelf = Shelf().judged(A, age=2 * HOUR)
    answer = shelf.judge(PINNED)
    assert isinstance(answer, Known)
    assert answer.subjects == (Subject(REPOSITORY, A, "1"), UNTAGGED)
    for tag in ("1", None):
        failed = Shelf().judged(A, age=2 * HOUR).erred(A, ErrorKind.ANALYSIS_FAILED, tag=tag)
        assert served(failed.judge(PINNED)) == (State.PASS, None, False)


def test_of_an_index_each_manifest_goes_by_what_was_judged_last() -> None:
    index = judged(PASS, FAIL, age=2 * HOUR).names(B, amd64(A))
    assert state(index.point(B, is_index=True).judge(f"app:1@{B}")) is State.PASS
    assert state(index.point(C).judge(f"app:1@{B}")) is State.FAIL


def test_after_its_grace_it_is_served_no_longer_once_it_was_tried_without_the_tag() -> None:
    shelf = Replaced(since=3 * HOUR).old()
    shelf.erred(A, ErrorKind.ANALYSIS_FAILED, tag=None, age=MINUTE).point(A)
    assert served(shelf.answer(PINNED)) == (State.PASS, None, True)
    shelf.point(B)
    assert state(shelf.answer(PINNED)) is State.ERROR


def test_what_was_tried_by_the_tag_stays_tried_when_that_moves_on_or_goes() -> None:
    shelf = Replaced(since=3 * HOUR).old().tried(age=MINUTE)
    for digest in (A, B, None):
        shelf.point(digest)
        assert state(shelf.answer(PINNED)) is State.ERROR, digest
    shelf.records.pop(pointer_key(parse_reference("app:1")))
    assert state(shelf.answer(PINNED)) is State.ERROR
