"""A circuit breaker on a clock of the test's own."""

import logging

import pytest

from shared.adapters.breaker import Breaker, BreakerState
from shared.domain.errors import TakenForDown
from tests.fakes.clock import FakeClock

WHAT = "Anchore at http://anchore:8228"


class Rig:
    """A breaker that opens at the third failure, for 1, 2 and at most 4 s."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.breaker = Breaker(what=WHAT, clock=self.clock, failures=3, shortest=1.0, longest=4.0)

    def fail(self, how: str = "no connection") -> None:
        with self.breaker.attempt() as attempt:
            attempt.failed(how)

    def answer(self) -> None:
        with self.breaker.attempt() as attempt:
            attempt.answered()

    def open(self) -> None:
        for _ in range(3):
            self.fail()

    def shows(self, state: BreakerState) -> bool:
        return self.breaker.state is state


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_failures_with_an_answer_between_them_open_nothing(rig: Rig) -> None:
    for _ in range(5):
        rig.fail()
        rig.fail()
        rig.answer()
    assert rig.shows(BreakerState.CLOSED)


def test_failures_in_a_row_open_it_and_then_nobody_asks(rig: Rig) -> None:
    rig.open()
    assert rig.shows(BreakerState.OPEN)
    with pytest.raises(TakenForDown), rig.breaker.attempt():
        raise AssertionError("it was let through")


def test_what_is_refused_says_since_when_why_and_until_when(rig: Rig) -> None:
    rig.open()
    rig.clock.advance(400)
    with pytest.raises(TakenForDown) as refused, rig.breaker.attempt():
        pass
    assert str(refused.value) == (
        f"{WHAT} is taken for down since 2025-06-15 15:06:40 UTC and asked again in 0.6 s; "
        "3 attempts failed, the last: no connection"
    )
    assert refused.value.retry_after == pytest.approx(0.6)


def test_after_its_time_one_call_is_let_through_and_the_others_wait_for_its_end(rig: Rig) -> None:
    rig.open()
    rig.clock.advance(1_000)
    assert rig.shows(BreakerState.HALF_OPEN)
    with rig.breaker.attempt() as trial:
        with pytest.raises(TakenForDown) as refused, rig.breaker.attempt():
            pass
        assert refused.value.retry_after == 1.0
        trial.answered()
    assert rig.shows(BreakerState.CLOSED)
    rig.answer()


def test_each_trial_that_fails_doubles_the_time_up_to_a_bound(rig: Rig) -> None:
    rig.open()
    waited = []
    for _ in range(5):
        waited.append(rig.breaker.refusal().retry_after)
        rig.clock.advance(round(1000 * (waited[-1] or 0)))
        rig.fail()
    assert waited == pytest.approx([1, 2, 4, 4, 4])


def test_an_answer_makes_the_next_outage_begin_with_the_shortest_time(rig: Rig) -> None:
    rig.open()
    for wait in (1_000, 2_000):
        rig.clock.advance(wait)
        rig.fail()
    rig.clock.advance(4_000)
    rig.answer()
    rig.fail()
    rig.fail()
    assert rig.shows(BreakerState.CLOSED)
    rig.fail()
    assert rig.breaker.refusal().retry_after == pytest.approx(1)


def test_a_trial_that_was_broken_off_leaves_its_turn_to_the_next(rig: Rig) -> None:
    rig.open()
    rig.clock.advance(1_000)
    with pytest.raises(KeyError), rig.breaker.attempt():
        raise KeyError
    assert rig.shows(BreakerState.HALF_OPEN)
    rig.answer()
    assert rig.shows(BreakerState.CLOSED)


def test_what_was_asked_before_it_opened_and_fails_late_is_not_taken_for_the_trial(
    rig: Rig,
) -> None:
    with rig.breaker.attempt() as late:
        rig.open()
        rig.clock.advance(1_000)
        late.failed("late")
    assert rig.shows(BreakerState.HALF_OPEN)
    rig.answer()


def test_a_late_answer_closes_it_since_the_server_does_answer(rig: Rig) -> None:
    with rig.breaker.attempt() as late:
        rig.open()
        late.answered()
    assert rig.shows(BreakerState.CLOSED)


def test_an_outage_is_one_line_in_the_log_and_its_end_another(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.open()
    for wait in (1_000, 2_000, 4_000):
        rig.clock.advance(wait)
        rig.fail()
    rig.clock.advance(4_000)
    rig.answer()
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"{WHAT} is taken for down since ")
    assert last == f"{WHAT} answers again after 11 s"
