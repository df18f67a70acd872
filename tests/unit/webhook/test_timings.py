"""The measured time to verdict of scans that people wait for: a median over the last ones."""

import pytest

from services.webhook.timings import LAST, MAX_QUESTIONS, MAX_WANTED, Timings
from shared.domain.pointer import Pointer, index_key, pointer_key
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.verdict import Question, Subject, last_error_key, scan_key, verdict_key
from tests.fakes.clock import FakeClock

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TAGGED = parse_reference("ghcr.io/team/app:1")
QUESTION = Question(account="payments", policy="strict")


class Rig:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.measured: list[float] = []
        self.timings = Timings(clock=self.clock, on_measured=self.measured.append)

    def scan(
        self,
        seconds: float,
        *,
        reference: ImageReference = TAGGED,
        subject: Subject | None = None,
        question: Question = QUESTION,
    ) -> None:
        """One is asked for, and its verdict announced after so many seconds."""
        self.timings.began(reference, question, at=self.clock.now())
        self.clock.advance(round(seconds * 1000))
        subject = subject or Subject(reference.repository, DIGEST, reference.tag)
        self.timings.changed(verdict_key(subject, question))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_before_anything_was_measured_nothing_is_said(rig: Rig) -> None:
    assert rig.timings.usual(QUESTION) == 0
    rig.timings.began(TAGGED, QUESTION, at=rig.clock.now())
    assert rig.timings.usual(QUESTION) == 0


def test_the_median_of_the_last_scans_is_told_so_that_one_slow_scan_changes_little(
    rig: Rig,
) -> None:
    for seconds in (4, 600, 6, 5, 7):
        rig.scan(seconds)
    assert rig.timings.usual(QUESTION) == 6_000
    assert rig.measured == [4, 600, 6, 5, 7]
    for _ in range(LAST):
        rig.scan(2)
    assert rig.timings.usual(QUESTION) == 2_000


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("ghcr.io/team/app:1", Subject("ghcr.io/team/app", DIGEST, "1")),
        (f"ghcr.io/team/app:1@{DIGEST}", Subject("ghcr.io/team/app", DIGEST, "1")),
        # A tag that lies about its digest is dropped, and so is one that nobody saw.
        (f"ghcr.io/team/app:lie@{DIGEST}", Subject("ghcr.io/team/app", DIGEST)),
        (f"ghcr.io/team/app@{DIGEST}", Subject("ghcr.io/team/app", DIGEST)),
        # An index: its manifests are judged.
        (f"ghcr.io/team/app:1@{DIGEST}", Subject("ghcr.io/team/app", OTHER, "1")),
    ],
)
def test_a_verdict_ends_the_scan_of_whoever_asked_for_its_image(
    rig: Rig, written: str, subject: Subject
) -> None:
    rig.scan(3, reference=parse_reference(written), subject=subject)
    assert rig.measured == [3]
    rig.timings.changed(verdict_key(subject, QUESTION))
    assert rig.measured == [3]


@pytest.mark.parametrize(
    "key",
    [
        verdict_key(Subject("ghcr.io/team/other", DIGEST, "1"), QUESTION),
        verdict_key(Subject("ghcr.io/team/app", OTHER, "2"), QUESTION),
        verdict_key(Subject("ghcr.io/team/app", DIGEST, "1"), Question(scanner="other")),
        # An error may be one that is tried again, and what a tag names is no verdict.
        last_error_key(Subject("ghcr.io/team/app", DIGEST, "1"), QUESTION),
        scan_key(Subject("ghcr.io/team/app", DIGEST, "1"), QUESTION),
        pointer_key(TAGGED),
        index_key(DIGEST),
        Pointer(TAGGED.tagged, 0).reference,
        "verdict:",
        "verdict:@|",
        "",
    ],
)
def test_nothing_else_ends_it(rig: Rig, key: str) -> None:
    rig.timings.began(TAGGED, QUESTION, at=rig.clock.now())
    rig.timings.changed(key)
    assert rig.measured == []
    rig.clock.advance(1_000)
    rig.timings.changed(verdict_key(Subject("ghcr.io/team/app", DIGEST, "1"), QUESTION))
    assert rig.measured == [1]


def test_scans_of_another_question_are_no_such_scans(rig: Rig) -> None:
    rig.scan(3)
    rig.scan(90, question=Question())
    assert rig.timings.usual(QUESTION) == 3_000
    assert rig.timings.usual(Question()) == 90_000


def test_a_scan_that_is_asked_for_again_began_when_it_was_asked_for_first(rig: Rig) -> None:
    rig.timings.began(TAGGED, QUESTION, at=rig.clock.now())
    rig.clock.advance(40_000)
    rig.scan(2)
    assert rig.measured == [42]


def test_of_what_became_known_without_a_word_nothing_is_measured(rig: Rig) -> None:
    pinned = parse_reference(f"ghcr.io/team/app:1@{DIGEST}")
    rig.timings.began(pinned, QUESTION, at=rig.clock.now())
    rig.timings.forget(pinned, QUESTION)
    rig.timings.changed(verdict_key(Subject("ghcr.io/team/app", DIGEST, "1"), QUESTION))
    assert rig.measured == []


def test_after_a_gap_in_the_announcements_what_began_before_it_is_not_measured(rig: Rig) -> None:
    rig.timings.began(TAGGED, QUESTION, at=rig.clock.now())
    rig.timings.changed(None)
    rig.timings.changed(verdict_key(Subject("ghcr.io/team/app", DIGEST, "1"), QUESTION))
    assert rig.measured == []


def test_what_is_remembered_is_bounded(rig: Rig) -> None:
    for number in range(MAX_WANTED + 10):
        reference = parse_reference(f"ghcr.io/team/app:{number}")
        rig.timings.began(reference, QUESTION, at=rig.clock.now())
    rig.timings.changed(verdict_key(Subject("ghcr.io/team/app", DIGEST, "3"), QUESTION))
    assert rig.measured == []
    for number in range(MAX_QUESTIONS + 10):
        rig.scan(1, question=Question(policy=str(number)))
    assert rig.timings.usual(Question(policy="0")) == 0
    assert rig.timings.usual(Question(policy=str(MAX_QUESTIONS))) == 1_000
