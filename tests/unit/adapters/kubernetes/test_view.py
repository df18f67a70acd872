"""What is known of namespaces, and until when it is believed."""

import pytest

from shared.adapters.kubernetes import limits
from shared.adapters.kubernetes.kept import Kept
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.view import NamespaceView
from tests.fakes.clock import FakeClock

PROD, TEST = {"tier": "prod"}, {"tier": "test"}
BELIEVED = round(Pace().believed * 1000)
MISSING = round(Pace().missing * 1000)


def kept(namespaces: dict[str, dict[str, str]]) -> Kept:
    made = Kept()
    for name, labels in namespaces.items():
        made.put(name, labels)
    return made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def view(clock: FakeClock) -> NamespaceView:
    return NamespaceView(clock=clock, pace=Pace())


def test_at_first_nothing_is_known(view: NamespaceView) -> None:
    assert view.labels("team") is None
    assert not view.is_missing("team")
    assert not view.begun
    assert not view.believed
    assert view.known == 0
    assert view.age is None


def test_what_never_was_listed_is_as_old_as_the_wish_for_it(
    view: NamespaceView, clock: FakeClock
) -> None:
    view.sought()
    clock.advance(BELIEVED)
    assert view.age == BELIEVED / 1000
    assert not view.begun
    assert not view.believed
    view.proven()
    assert view.age == 0
    view.forget()
    assert view.age is None


def test_what_was_listed_is_believed_for_a_minute_and_not_longer(
    view: NamespaceView, clock: FakeClock
) -> None:
    view.replaced(kept({"team": PROD}))
    clock.advance(BELIEVED - 1)
    assert view.labels("team") == PROD
    clock.advance(1)
    assert view.labels("team") is None
    assert view.known == 0
    assert view.begun


@pytest.mark.parametrize("word", ["proven", "changed", "removed"])
def test_each_word_of_the_api_server_has_all_believed_for_another_minute(
    word: str, view: NamespaceView, clock: FakeClock
) -> None:
    view.replaced(kept({"team": PROD, "other": TEST}))
    clock.advance(BELIEVED - 1)
    if word == "proven":
        view.proven()
    elif word == "changed":
        view.changed("other", {})
    else:
        view.removed("other")
    clock.advance(BELIEVED - 1)
    assert view.labels("team") == PROD
    assert view.age == pytest.approx((BELIEVED - 1) / 1000)


def test_what_was_read_is_believed_as_long_as_what_is_followed(
    view: NamespaceView, clock: FakeClock
) -> None:
    view.was_read("team", PROD)
    clock.advance(BELIEVED - 1)
    assert view.labels("team") == PROD
    clock.advance(1)
    assert view.labels("team") is None


def test_a_proof_of_others_keeps_nothing_that_was_read(
    view: NamespaceView, clock: FakeClock
) -> None:
    view.was_read("team", PROD)
    view.replaced(kept({"other": TEST}))
    assert view.labels("team") is None


def test_one_that_is_followed_counts_more_than_one_that_was_read(view: NamespaceView) -> None:
    view.replaced(kept({"team": PROD}))
    view.was_read("team", TEST)
    assert view.labels("team") == PROD


def test_one_that_was_read_counts_where_what_is_followed_is_not_believed(
    view: NamespaceView, clock: FakeClock
) -> None:
    view.replaced(kept({"team": TEST}))
    clock.advance(BELIEVED)
    view.was_read("team", PROD)
    assert view.labels("team") == PROD


def test_one_that_is_gone_is_not_remembered_from_a_reading(view: NamespaceView) -> None:
    for name in ("team", "other"):
        view.was_read(name, PROD)
    view.changed("team", PROD)
    view.removed("team")
    view.removed("other")
    assert view.labels("team") is view.labels("other") is None


def test_one_that_is_missing_is_so_for_a_few_seconds(view: NamespaceView, clock: FakeClock) -> None:
    view.was_read("made-up", None)
    clock.advance(MISSING - 1)
    assert view.is_missing("made-up")
    assert view.labels("made-up") is None
    clock.advance(1)
    assert not view.is_missing("made-up")


def test_one_that_is_missing_and_then_made_is_known(view: NamespaceView) -> None:
    view.was_read("team", None)
    view.changed("team", PROD)
    assert not view.is_missing("team")
    assert view.labels("team") == PROD


def test_whoever_waits_is_told_of_each_that_becomes_known(clock: FakeClock) -> None:
    told: list[str] = []
    view = NamespaceView(clock=clock, pace=Pace(), on_known=told.append)
    view.replaced(kept({"a": PROD, "b": TEST}))
    view.changed("c", {})
    view.removed("a")
    view.was_read("d", PROD)
    assert told == ["a", "b", "c"]


def test_what_is_forgotten_is_not_known(view: NamespaceView) -> None:
    view.replaced(kept({"team": PROD}))
    view.was_read("other", PROD)
    view.forget()
    assert view.labels("team") is view.labels("other") is None
    assert not view.begun
    view.changed("new", PROD)
    assert view.labels("team") is None


def test_one_that_is_read_again_takes_the_place_of_no_other(view: NamespaceView) -> None:
    for number in range(limits.MAX_READ):
        view.was_read(f"team-{number}", PROD)
    view.was_read("team-7", TEST)
    assert view.labels("team-0") == PROD
    assert view.labels("team-7") == TEST


def test_of_those_that_were_read_the_oldest_go(view: NamespaceView) -> None:
    for number in range(limits.MAX_READ + 1):
        view.was_read(f"team-{number}", PROD)
    assert view.labels("team-0") is None
    assert view.labels("team-1") == PROD
    assert len(view._read) == limits.MAX_READ


def test_there_is_room_for_so_many_namespaces_and_the_rest_are_read(
    view: NamespaceView,
) -> None:
    all_of_them = kept({f"team-{number}": {} for number in range(limits.MAX_NAMESPACES + 5)})
    assert all_of_them.left_out == 5
    view.replaced(all_of_them)
    assert view.known == limits.MAX_NAMESPACES
    late = f"team-{limits.MAX_NAMESPACES}"
    assert view.labels(late) is None
    view.was_read(late, PROD)
    assert view.labels(late) == PROD


def test_a_namespace_that_goes_makes_room(view: NamespaceView) -> None:
    view.replaced(kept({f"team-{number}": {} for number in range(limits.MAX_NAMESPACES)}))
    view.removed("team-7")
    view.changed("late", PROD)
    assert view.labels("late") == PROD


def test_there_is_room_for_so_many_labels(view: NamespaceView) -> None:
    size = limits.MAX_LABEL_BYTES_OF_ONE - limits.LABEL_BYTES - 1
    count = limits.MAX_LABEL_BYTES // limits.MAX_LABEL_BYTES_OF_ONE
    all_of_them = kept({f"team-{number}": {"k": "v" * size} for number in range(count + 3)})
    assert (len(all_of_them), all_of_them.left_out) == (count, 3)
    view.replaced(all_of_them)
    for _ in range(5):
        view.changed("team-0", {"k": "v" * size})
    view.changed("team-0", PROD)
    view.changed("late", PROD)
    assert view.labels("late") == PROD


def test_too_many_labels_of_one_namespace_make_it_unknown_and_no_other(
    view: NamespaceView,
) -> None:
    much = {f"label-{number}": "v" * 63 for number in range(1_000)}
    view.replaced(kept({"large": much, "team": PROD}))
    view.changed("later", PROD)
    view.changed("later", much)
    assert view.labels("later") is None
    assert view.labels("large") is None
    assert view.labels("team") == PROD
    view.was_read("large", much)
    assert view.labels("large") is None
    assert view.is_missing("large")
    most = {"k": "v" * (limits.MAX_LABEL_BYTES_OF_ONE - limits.LABEL_BYTES - 1)}
    view.was_read("most", most)
    assert view.labels("most") == most
