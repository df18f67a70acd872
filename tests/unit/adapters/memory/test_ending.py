from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory.ending import Ending
from tests.fakes.clock import FakeClock


def test_an_entry_is_gone_at_its_end() -> None:
    clock = FakeClock()
    entries: Ending[int] = Ending(clock=clock, max_entries=10)
    entries.set("a", 1, ends=clock.now() + 10)
    clock.advance(9)
    assert entries.get("a") == 1
    clock.advance(1)
    assert entries.get("a") is None
    assert len(entries) == 0
    assert entries.items() == []


def test_setting_again_gives_a_new_end() -> None:
    clock = FakeClock()
    entries: Ending[int] = Ending(clock=clock, max_entries=10)
    entries.set("a", 1, ends=clock.now() + 10)
    entries.set("a", 2, ends=clock.now() + 20)
    clock.advance(15)
    assert entries.items() == [("a", 2)]


def test_above_its_bound_what_ends_soonest_goes() -> None:
    clock = FakeClock()
    entries: Ending[int] = Ending(clock=clock, max_entries=2)
    for key, life in (("long", 30), ("short", 10), ("middle", 20)):
        entries.set(key, life, ends=clock.now() + life)
    assert sorted(key for key, _ in entries.items()) == ["long", "middle"]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(-5, 50), st.integers(0, 9)), max_size=300
    )
)
def test_it_holds_what_a_plain_dictionary_would_hold(
    steps: list[tuple[str, int, int]],
) -> None:
    clock = FakeClock()
    entries: Ending[int] = Ending(clock=clock, max_entries=6)
    plain: dict[str, tuple[int, int]] = {}
    for number, (key, life, passes) in enumerate(steps):
        entries.set(key, number, ends=clock.now() + life)
        plain[key] = (clock.now() + life, number)
        clock.advance(passes)
        living = {key: value for key, (ends, value) in plain.items() if ends > clock.now()}
        assert {key: entries.get(key) for key in plain if entries.get(key) is not None} == living
        assert len(entries) == len(living)


def test_an_entry_set_a_thousand_times_takes_the_room_of_a_few() -> None:
    clock = FakeClock()
    entries: Ending[int] = Ending(clock=clock, max_entries=10)
    for number in range(1_000):
        entries.set("a", number, ends=clock.now() + 1_000_000 + number)
    assert len(entries) == 1
    assert len(vars(entries)["_by_end"]) < 100
