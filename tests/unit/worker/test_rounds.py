"""Rounds of re-evaluation: told once, and loudly where more than a fifth of the passes turned."""

import logging

import pytest

from services.worker.in_use import Round, Surveyed
from services.worker.rounds import AGAIN, LATELY, Rounds, too_many
from shared.domain.revision import Revision
from shared.domain.verdict import Question

NOW = 1_750_000_000_000
QUESTION = Question(account="team")


@pytest.fixture(autouse=True)
def _everything_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def surveyed(
    *, left: int = 0, kept: int = 0, turned: int = 0, at: int = NOW, revision: str = "two"
) -> Surveyed:
    record = Revision(QUESTION, "baseline", revision, seen_at=NOW - 60_000)
    return Surveyed(at, rounds={QUESTION: Round(record, left, kept, turned)})


def levels(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [line.levelno for line in caplog.records]


@pytest.mark.parametrize(
    ("passes", "turned", "many"),
    [(5, 1, False), (5, 2, True), (10, 2, False), (10, 3, True), (4, 4, False), (100, 20, False)],
)
def test_more_than_a_fifth_is_too_many_where_a_single_one_is_not(
    passes: int, turned: int, many: bool
) -> None:
    assert too_many(passes, turned) == many


def test_the_beginning_and_the_end_of_a_round_are_a_line_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds()
    for left in (10, 6, 0, 0):
        rounds.surveyed(surveyed(left=left, kept=10 - left))
    assert [(line.message, line.__dict__["left"]) for line in caplog.records] == [
        ("what is in use is judged by another policy", 10),
        ("all that is in use has been judged by its policy", 0),
    ]
    told = caplog.records[0].__dict__
    assert (told["account"], told["policy"], told["revision"], told["seconds"]) == (
        "team",
        "baseline",
        "two",
        60,
    )


def test_a_round_that_turns_too_much_is_an_error_once_also_before_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds()
    for kept, turned in ((3, 0), (6, 2), (5, 3), (10, 9)):
        rounds.surveyed(surveyed(left=10, kept=kept, turned=turned))
    errors = [line.__dict__ for line in caplog.records if line.levelno == logging.ERROR]
    assert [(one["cause"], one["judged_anew"], one["turned"]) for one in errors] == [
        ("policy", 8, 2)
    ]


def test_another_revision_is_another_round(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds()
    for revision in ("two", "two", "three"):
        rounds.surveyed(surveyed(kept=5, turned=5, revision=revision))
    assert levels(caplog) == [logging.ERROR] * 2


def test_a_policy_that_changed_long_ago_is_no_round_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Rounds().surveyed(surveyed(kept=5, turned=5, at=NOW + LATELY))
    assert levels(caplog) == []


def test_a_feed_that_turns_too_much_within_an_hour_is_an_error_once_an_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds()
    for at in (NOW, NOW + AGAIN - 1, NOW + AGAIN):
        rounds.surveyed(Surveyed(at, feed_kept=30, feed_turned=10))
    assert levels(caplog) == [logging.ERROR] * 2
    told = caplog.records[0].__dict__
    assert (told["cause"], told["judged_anew"], told["turned"]) == ("feed", 40, 10)


def test_usual_turns_are_nobodys_alarm(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds()
    rounds.surveyed(Surveyed(NOW, feed_kept=100, feed_turned=5))
    rounds.surveyed(surveyed(kept=100, turned=20))
    assert levels(caplog) == []


def test_a_policy_that_nothing_in_use_asks_for_any_more_is_forgotten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds()
    rounds.surveyed(surveyed(left=10, kept=5, turned=5))
    rounds.surveyed(Surveyed(NOW))
    rounds.surveyed(surveyed(left=10, kept=5, turned=5))
    assert levels(caplog) == 2 * [logging.INFO, logging.ERROR]
