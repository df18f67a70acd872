from services.console.rates import MAX_REMEMBERED, WINDOW, Rates
from shared.domain.step import Lane
from shared.ports.presence import Alive, Beat


def worker(name: str, **delivered: int) -> Alive:
    counts = {Lane(lane): count for lane, count in delivered.items()}
    return Alive(Beat(name, "worker", "1", 0, delivered=counts), 0)


def check(rates: dict[Lane, float | None]) -> float | None:
    return rates[Lane.CHECK]


def test_the_first_look_has_nothing_to_compare_with() -> None:
    rates = Rates().seen([worker("a", check=1_000)], at=5.0)
    assert rates == dict.fromkeys(Lane)


def test_what_was_delivered_before_the_first_look_counts_for_nothing() -> None:
    rates = Rates()
    rates.seen([worker("a", check=1_000)], at=0.0)
    assert check(rates.seen([worker("a", check=1_006)], at=2.0)) == 3.0


def test_lanes_are_counted_apart_and_processes_together() -> None:
    rates = Rates()
    rates.seen([worker("a", check=10), worker("b", check=5, resolve=1)], at=0.0)
    seen = rates.seen([worker("a", check=14), worker("b", check=11, resolve=2)], at=2.0)
    assert seen[Lane.CHECK] == 5.0
    assert seen[Lane.RESOLVE] == 0.5
    assert seen[Lane.ADMISSION] == 0.0


def test_a_process_that_is_new_starts_at_its_own_zero() -> None:
    rates = Rates()
    rates.seen([worker("a", check=100)], at=0.0)
    assert check(rates.seen([worker("a", check=100), worker("b", check=8)], at=2.0)) == 4.0


def test_a_worker_that_is_restarted_takes_nothing_back() -> None:
    rates = Rates()
    rates.seen([worker("before", check=5_000)], at=0.0)
    assert check(rates.seen([worker("after", check=6)], at=2.0)) == 3.0
    assert check(rates.seen([worker("after", check=6)], at=3.0)) == 2.0


def test_a_process_that_was_silent_for_a_while_does_not_count_twice() -> None:
    rates = Rates()
    rates.seen([worker("a", check=500)], at=0.0)
    rates.seen([], at=1.0)
    assert check(rates.seen([worker("a", check=504)], at=2.0)) == 2.0


def test_a_counter_that_went_back_adds_nothing() -> None:
    rates = Rates()
    rates.seen([worker("a", check=500)], at=0.0)
    assert check(rates.seen([worker("a", check=3)], at=2.0)) == 0.0
    assert check(rates.seen([worker("a", check=7)], at=4.0)) == 1.0


def test_a_rate_forgets_what_is_older_than_its_window() -> None:
    rates = Rates()
    for second in range(20):
        rates.seen([worker("a", check=min(second, 5) * 100)], at=float(second))
    assert check(rates.seen([worker("a", check=500)], at=20.0)) == 0.0


def test_beats_every_other_second_make_an_even_rate() -> None:
    rates = Rates()
    # Looks each second, a counter that is told each second one and grows by five a second.
    seen = [rates.seen([worker("a", check=t // 2 * 10)], at=float(t)) for t in range(40)]
    settled = [check(one) for one in seen[20:]]
    assert all(rate is not None and 4.0 <= rate <= 6.0 for rate in settled)


def test_looks_that_are_further_apart_than_the_window_still_make_a_rate() -> None:
    rates = Rates()
    rates.seen([worker("a", check=0)], at=0.0)
    rates.seen([worker("a", check=10)], at=3 * WINDOW)
    assert check(rates.seen([worker("a", check=70)], at=6 * WINDOW)) == 2.0


def test_two_looks_at_one_moment_divide_by_nothing() -> None:
    rates = Rates()
    rates.seen([worker("a", check=1)], at=1.0)
    assert check(rates.seen([worker("a", check=2)], at=1.0)) is None


def test_what_is_remembered_of_processes_is_bounded() -> None:
    rates = Rates()
    rates.seen([worker("first", check=100)], at=0.0)
    for number in range(MAX_REMEMBERED):
        rates.seen([worker(f"w{number}")], at=1.0 + number)
    # Forgotten, so as good as new: it counts from zero again.
    at = 2.0 + MAX_REMEMBERED
    assert check(rates.seen([worker("first", check=110)], at=at)) == 110 / 10
