"""Messages are versioned and checked; delays come from the ladder."""

import statistics

import msgspec
import pytest

from shared.domain.errors import InvalidStep
from shared.domain.retry import (
    DELAYS,
    MAX_ATTEMPTS,
    MAX_POLL,
    fitting_delay,
    luck_of,
    place_delay,
    poll_delay,
    retry_delay,
    spread_delay,
)
from shared.domain.step import (
    MAX_HISTORY,
    REQUEUED,
    Lane,
    Step,
    StepKind,
    anew,
    decode_step,
    encode_step,
    failed,
    given_up,
)
from shared.domain.verdict import Question, Subject

STEP = Step(
    id="1",
    kind=StepKind.CHECK,
    lane=Lane.CHECK,
    reference="docker.io/library/nginx:1",
    question=Question(account="a|b%"),
    first_seen=1,
    subject=Subject("docker.io/library/nginx", "sha256:" + "a" * 64, "1"),
    chain="c",
    hop=2,
)


def test_a_step_comes_back_from_its_message_as_it_was() -> None:
    assert encode_step(decode_step(encode_step(STEP))) == encode_step(STEP)
    assert msgspec.structs.replace(decode_step(encode_step(STEP)), v=0) == STEP


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        encode_step(STEP).replace(b'"v":1', b'"v":2'),
        encode_step(STEP).replace(b'"v":1', b'"w":1'),
        encode_step(STEP).replace(b'"chain":"c",', b""),
        encode_step(STEP).replace(b'"kind":"check"', b'"kind":"dance"'),
    ],
)
def test_a_message_that_is_no_step_of_this_format_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidStep):
        decode_step(message)


def test_a_failed_step_counts_its_attempts_and_keeps_a_bounded_history() -> None:
    step = STEP
    for number in range(50):
        step = failed(step, f"reason {number}" * 100)
    assert step.attempt == 50
    assert len(step.history) == 20
    assert len(encode_step(step)) < 10_000


def test_a_step_that_begins_anew_does_the_same_work_as_a_first_attempt_of_now() -> None:
    of_before = {"claim": "mine once", "began": 5, "deadline": 6, "running": 7, "polls": 8}
    dead = given_up(msgspec.structs.replace(STEP, freed=True, **of_before), "no answer")
    again = anew(dead, step_id="2", now=9)
    assert again == msgspec.structs.replace(
        STEP, id="2", first_seen=9, history=("no answer", REQUEUED)
    )


def test_a_step_that_begins_anew_again_and_again_keeps_a_bounded_history() -> None:
    step = STEP
    for number in range(50):
        step = anew(failed(step, f"reason {number}"), step_id=str(number), now=number)
    assert len(step.history) == MAX_HISTORY
    assert step.history[-2:] == ("reason 49", REQUEUED)


def test_retries_climb_the_ladder_and_end() -> None:
    delays = [retry_delay(attempt) for attempt in range(1, MAX_ATTEMPTS + 1)]
    assert delays == [1, 2, 5, 10, 30, 60, 300, None]


@pytest.mark.parametrize(("asked", "delay"), [(0.5, 1), (3, 5), (45, 60), (90, 120), (9999, 300)])
def test_what_the_other_side_asked_for_is_honoured(asked: float, delay: int) -> None:
    assert retry_delay(1, retry_after=asked) == delay


@pytest.mark.parametrize(
    ("waited", "delay"), [(-5, 1), (0, 1), (20, 2), (300, 30), (700, 60), (1200, 120), (9999, 300)]
)
def test_who_has_waited_long_for_a_place_comes_again_seldom(waited: float, delay: int) -> None:
    assert place_delay(waited) == delay


@pytest.mark.parametrize(
    ("age", "delay"), [(0, 1), (5, 1), (19, 1), (20, 2), (60, 5), (120, 10), (300, 30), (9999, 30)]
)
def test_polls_stretch_with_the_age_of_the_analysis_up_to_half_a_minute(
    age: float, delay: int
) -> None:
    assert poll_delay(age) == delay
    assert poll_delay(age) in DELAYS


def test_polls_stretch_to_the_share_of_each_where_many_are_under_way() -> None:
    lucks = [number / 1000 for number in range(1000)]
    for share in (1.5, 7, 45, 111, 200):
        delays = [poll_delay(3600, share=share, luck=luck) for luck in lucks]
        assert statistics.mean(delays) == pytest.approx(max(share, MAX_POLL), rel=0.02)
        assert set(delays) <= set(DELAYS)


@pytest.mark.parametrize(("age", "delay"), [(0, 1), (1, 1), (2, 2), (5, 5), (10, 10), (60, 60)])
def test_a_young_analysis_waits_no_longer_than_it_has_taken_so_far(age: float, delay: int) -> None:
    assert poll_delay(age, share=5000, luck=0.5) == delay


def test_a_share_that_is_shorter_than_what_the_age_asks_for_changes_nothing() -> None:
    assert poll_delay(9999, share=29, luck=0.99) == poll_delay(9999)


@pytest.mark.parametrize(
    ("seconds", "delays"),
    [(0, {1}), (1, {1}), (1.5, {1, 2}), (30, {30}), (61, {60, 120}), (9999, {300})],
)
def test_a_spread_delay_is_one_of_the_two_beside_it(seconds: float, delays: set[int]) -> None:
    assert {spread_delay(seconds, luck=each / 1000) for each in range(1000)} == delays


def test_of_many_spread_delays_the_mean_is_what_was_wanted() -> None:
    steps = [f"chain.{number}" for number in range(5_000)]
    for seconds in (1.2, 17, 100, 290):
        delays = [spread_delay(seconds, luck=luck_of(step)) for step in steps]
        assert statistics.mean(delays) == pytest.approx(seconds, rel=0.05)


def test_a_steps_luck_stays_its_own() -> None:
    assert luck_of("a step") == luck_of("a step") != luck_of("another step")
    assert all(0 <= luck_of(str(number)) < 1 for number in range(1000))


def test_a_delay_is_never_shorter_than_asked_where_the_ladder_has_one() -> None:
    assert [fitting_delay(seconds) for seconds in (0, 1, 1.1, 6, 61, 121, 301)] == [
        1,
        1,
        2,
        10,
        120,
        300,
        300,
    ]
