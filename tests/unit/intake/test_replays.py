"""Events are remembered for a while, and not too many of them."""

from services.intake.replays import Replays
from tests.fakes.clock import FakeClock


def test_what_was_taken_is_seen_again_until_its_life_is_over() -> None:
    clock = FakeClock()
    replays = Replays(clock=clock, life=60)
    assert not replays.seen(b"a")
    replays.remember(b"a")
    clock.advance(59_999)
    assert replays.seen(b"a")
    clock.advance(1)
    assert not replays.seen(b"a")


def test_the_oldest_goes_first() -> None:
    replays = Replays(clock=FakeClock(), life=60, max_events=2)
    for event in (b"a", b"b", b"a", b"c"):
        replays.remember(event)
    assert [replays.seen(event) for event in (b"a", b"b", b"c")] == [True, False, True]


def test_an_event_without_a_name_is_never_a_replay() -> None:
    replays = Replays(clock=FakeClock(), life=60)
    replays.remember(b"")
    assert not replays.seen(b"")
