"""Of each id the newest exception that was ever seen."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.believed import Believed, Source, Taken
from shared.domain.exceptions import ImageException
from tests.fakes.clock import START
from tests.fakes.exceptions import HOUR, exception

NOW = START


def take(believed: Believed, one: ImageException, source: Source = Source.STORE) -> Taken:
    return believed.take(one, source, now=NOW)


def test_one_that_was_taken_counts_to_its_end() -> None:
    believed = Believed(cluster="")
    one = exception("a", now=NOW)
    assert take(believed, one) is Taken.NEW
    assert take(believed, one) is Taken.KNOWN
    assert believed.active(NOW + HOUR - 1) == (one,)
    assert believed.active(NOW + HOUR) == ()


def test_one_that_has_ended_is_not_taken() -> None:
    believed = Believed(cluster="")
    assert take(believed, exception("a", now=NOW - HOUR)) is Taken.KNOWN
    assert believed.numbers(NOW - HOUR) == {Source.STORE: 0, Source.FOLDER: 0}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_whatever_order_they_come_the_newest_holds(order: tuple[int, ...]) -> None:
    said = [
        exception("a", now=NOW),
        exception("a", now=NOW, made_at=NOW + 1, reason="still no fix"),
        exception("a", now=NOW, made_at=NOW + 2, revoked=True),
    ]
    believed = Believed(cluster="")
    for index in order:
        take(believed, said[index])
    assert believed.active(NOW) == ()


def test_a_newer_one_takes_a_revocation_back() -> None:
    believed = Believed(cluster="")
    take(believed, exception("a", now=NOW, made_at=NOW, revoked=True))
    again = exception("a", now=NOW, made_at=NOW + 1)
    assert take(believed, again) is Taken.NEW
    assert believed.active(NOW) == (again,)


@pytest.mark.parametrize("first", [True, False])
def test_of_the_same_moment_the_revocation_holds(first: bool) -> None:
    believed = Believed(cluster="")
    for revoked in (first, not first):
        take(believed, exception("a", now=NOW, revoked=revoked))
    assert believed.active(NOW) == ()


def test_a_revocation_that_ends_sooner_is_remembered_as_long_as_what_it_revokes() -> None:
    believed = Believed(cluster="")
    one = exception("a", now=NOW)
    take(believed, one)
    take(believed, exception("a", now=NOW, made_at=NOW + 1, expires=NOW + 2, revoked=True))
    believed.forget_ended(NOW + 3)
    assert believed.take(one, Source.FOLDER, now=NOW + 3) is Taken.KNOWN
    assert believed.active(NOW + 3) == ()


def test_an_older_one_does_not_come_back_when_the_newer_has_ended() -> None:
    believed = Believed(cluster="")
    older = exception("a", now=NOW)
    newer = exception("a", now=NOW, made_at=NOW + 1, expires=NOW + 5)
    take(believed, newer)
    take(believed, older)
    believed.forget_ended(NOW + 6)
    assert believed.take(older, Source.STORE, now=NOW + 6) is Taken.KNOWN
    assert believed.active(NOW + 6) == ()


@given(
    said=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.booleans()), max_size=30),
    ends=st.integers(1, 30),
)
def test_nothing_that_a_newer_one_of_its_id_revoked_ever_counts_again(
    said: list[tuple[str, int, bool]], ends: int
) -> None:
    believed = Believed(cluster="")
    seen: list[ImageException] = []
    for moment, (name, made, revoked) in enumerate(said):
        one = exception(name, now=0, made_at=made, expires=ends, revoked=revoked)
        believed.take(one, Source.STORE, now=moment)
        believed.forget_ended(moment)
        if one.expires > moment:
            seen.append(one)
        for counting in believed.active(moment):
            newer = [each for each in seen if each.id == counting.id and each.revoked]
            assert all(each.made_at < counting.made_at for each in newer)


def test_what_has_ended_makes_room() -> None:
    believed = Believed(cluster="", most=2)
    assert [take(believed, exception(name, now=NOW)) for name in "ab"] == [Taken.NEW] * 2
    assert take(believed, exception("c", now=NOW)) is Taken.FULL
    believed.forget_ended(NOW + HOUR)
    assert believed.take(exception("c", now=NOW + HOUR), Source.STORE, now=NOW + HOUR) is Taken.NEW


def test_where_there_is_no_room_a_known_one_can_still_be_revoked() -> None:
    believed = Believed(cluster="", most=1)
    take(believed, exception("a", now=NOW))
    assert take(believed, exception("a", now=NOW, made_at=NOW + 1, revoked=True)) is Taken.NEW
    assert believed.active(NOW) == ()


def test_they_are_numbered_by_where_the_newest_stood_and_come_by_id() -> None:
    believed = Believed(cluster="")
    for name in "ba":
        take(believed, exception(name, now=NOW))
    take(believed, exception("c", now=NOW), Source.FOLDER)
    take(believed, exception("a", now=NOW, made_at=NOW + 1), Source.FOLDER)
    take(believed, exception("d", now=NOW, revoked=True), Source.FOLDER)
    assert [one.id for one in believed.active(NOW)] == ["a", "b", "c"]
    assert believed.numbers(NOW) == {Source.STORE: 1, Source.FOLDER: 2}
    assert believed.numbers(NOW + HOUR) == {Source.STORE: 0, Source.FOLDER: 0}
