"""So many at once, so many a second after that."""

from hypothesis import given
from hypothesis import strategies as st

from services.intake.pace import Pace
from tests.fakes.clock import FakeClock


def test_after_a_quiet_time_there_are_as_many_as_fit_and_no_more() -> None:
    clock = FakeClock()
    pace = Pace(clock=clock, rate=5.0, burst=10)
    assert [pace.take(1) for _ in range(12)].count(True) == 10
    clock.advance(3_600_000)
    assert [pace.take(1) for _ in range(12)].count(True) == 10


def test_all_of_them_or_none() -> None:
    pace = Pace(clock=FakeClock(), rate=1.0, burst=5)
    assert not pace.take(6)
    assert pace.take(5)
    assert not pace.take(1)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 8)), max_size=60))
def test_never_more_than_the_rate_and_what_was_there(calls: list[tuple[int, int]]) -> None:
    clock = FakeClock()
    pace = Pace(clock=clock, rate=5.0, burst=10)
    taken, began = 0, clock.monotonic()
    for waited, number in calls:
        clock.advance(waited)
        taken += number * pace.take(number)
        assert taken <= 10 + 5.0 * (clock.monotonic() - began) + 1e-6
