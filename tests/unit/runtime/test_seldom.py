"""The same thing is said once an hour, however often it happens."""

from shared.runtime.seldom import Bursts, Seldom
from tests.fakes.clock import FakeClock


def test_it_is_said_again_after_an_hour_and_other_things_meanwhile() -> None:
    clock = FakeClock()
    seldom = Seldom(clock=clock)
    assert [seldom.is_due(text) for text in ("a", "a", "b", "b", "a")] == [
        True,
        False,
        True,
        False,
        False,
    ]
    clock.advance(3_599_999)
    assert not seldom.is_due("a")
    clock.advance(1)
    assert [seldom.is_due(text) for text in ("a", "a", "b")] == [True, False, True]


def test_memory_of_what_was_said_is_bounded() -> None:
    seldom = Seldom(clock=FakeClock(), max_said=2)
    assert [seldom.is_due(text) for text in ("a", "b", "c", "c", "b", "a")] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]


def test_of_a_burst_one_is_said_and_later_how_many_others_there_were() -> None:
    clock = FakeClock()
    bursts = Bursts(clock=clock, every=10)
    said = [bursts.said("no confirm") for _ in range(100)]
    assert said == ["", *[None] * 99]
    assert bursts.said("cannot queue") == ""
    clock.advance(10_000)
    assert bursts.said("no confirm") == " (and 99 more since the last such line)"
    clock.advance(10_000)
    assert bursts.said("no confirm") == ""
