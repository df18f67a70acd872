"""What an emergency may say, and which of two holds."""

import msgspec
import pytest

from shared.domain.cluster_name import MAX_CLUSTER
from shared.domain.emergency import (
    LONGEST,
    agreed_emergency,
    checked,
    checked_emergency,
    emergency_cluster,
    emergency_id,
    emergency_key,
    ending,
)
from shared.domain.errors import InvalidException
from shared.domain.exceptions import ImageException
from shared.domain.exceptions import checked as checked_exception
from shared.domain.signing import Body, Kind
from shared.ports.exceptions import MAX_ID
from tests.fakes.exceptions import HOUR, emergency, exception

NOW = 1_790_000_000_000


ODD = ["a@b", "a/b", "A", "a ", "a\n", "-", ".", "../a", "a:b", "ä", "\x1b[2J", "c" * 64]


def body(
    key: str = "exception:emergency@prod", /, *, order: int = NOW, ends: int = NOW + LONGEST
) -> Body:
    return Body(Kind.EMERGENCY, key, order, ends, record=msgspec.Raw(b"{}"))


@pytest.mark.parametrize("cluster", ["", "prod", "eu-1.prod", "a", "c" * MAX_CLUSTER])
def test_each_cluster_has_an_id_of_its_own_that_no_exception_can_have(cluster: str) -> None:
    own = emergency_id(cluster)
    assert emergency_cluster(own) == cluster
    assert len(own.encode()) <= MAX_ID
    assert emergency_key(cluster) == f"exception:{own}"
    if cluster:
        with pytest.raises(InvalidException, match="id"):
            checked_exception(exception_of(own))


def exception_of(name: str) -> ImageException:
    return msgspec.structs.replace(exception("a", now=NOW), id=name)


@pytest.mark.parametrize(
    "other", ["", "a1b2c3", "emergency-1", "emergency@", "emergency.prod", "xemergency@prod"]
)
def test_another_id_is_of_no_emergency(other: str) -> None:
    assert emergency_cluster(other) is None


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_no_cluster_can_have_is_of_no_emergency(name: str) -> None:
    assert emergency_cluster(f"emergency@{name}") is None
    with pytest.raises(InvalidException) as refused:
        checked(emergency(now=NOW, cluster=name))
    assert refused.value.field == "cluster"


@pytest.mark.parametrize("key", ["exception:emergency", "exception:emergency@test", "emergency"])
def test_the_key_names_the_cluster_too(key: str) -> None:
    with pytest.raises(InvalidException, match="cluster: differs from what the record around it"):
        checked_emergency(emergency(now=NOW), body(key))


def test_it_counts_to_its_end_and_not_at_it() -> None:
    one = emergency(now=NOW)
    assert [one.counts(NOW + passed) for passed in (0, HOUR - 1, HOUR, LONGEST)] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("globs", "namespace", "holds"),
    [
        (("*",), "team", True),
        (("team-*", "other"), "team-a", True),
        (("team-*", "other"), "team", False),
        (("team",), "team-a", False),
    ],
)
def test_it_holds_in_the_namespaces_that_it_names(
    globs: tuple[str, ...], namespace: str, holds: bool
) -> None:
    assert emergency(now=NOW, namespaces=globs).holds_in(namespace) is holds


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"until": NOW + LONGEST + 1}, "until"),
        ({"until": NOW - 1}, "until"),
        ({"made_at": 0, "until": 0}, "until"),
        ({"namespaces": ()}, "namespaces"),
        ({"namespaces": ("Team",)}, "namespaces"),
        ({"reason": " "}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"owner": ""}, "owner"),
        ({"cluster": "c" * 64}, "cluster"),
        ({"cluster": "a\x1b[2J"}, "cluster"),
    ],
)
def test_what_none_may_say_is_named(changes: dict[str, object], wrong: str) -> None:
    with pytest.raises(InvalidException) as refused:
        checked(emergency(now=NOW, **changes))
    assert refused.value.field == wrong


def test_the_longest_is_a_day() -> None:
    one = emergency(now=NOW, until=NOW + LONGEST, namespaces=("a", "b", "a"))
    assert checked(one) == emergency(now=NOW, until=NOW + LONGEST, namespaces=("a", "b"))


@pytest.mark.parametrize("changes", [{"order": NOW - 1}, {"ends": NOW + HOUR}, {"ends": 2 * NOW}])
def test_what_was_signed_around_it_must_say_the_same(changes: dict[str, int]) -> None:
    with pytest.raises(InvalidException, match="made_at: differs from what the record around it"):
        checked_emergency(emergency(now=NOW), body(**changes))
    assert checked_emergency(emergency(now=NOW), body()) == emergency(now=NOW)


@pytest.mark.parametrize("cluster", ["", "test", "prod "])
def test_one_for_another_cluster_is_none_here(cluster: str) -> None:
    with pytest.raises(InvalidException, match="'prod' is meant, and this is"):
        agreed_emergency(emergency(now=NOW), body(), cluster=cluster)
    assert agreed_emergency(emergency(now=NOW), body(), cluster="prod") == emergency(now=NOW)


def test_what_was_signed_later_holds_and_of_the_same_moment_what_ends_it() -> None:
    one = emergency(now=NOW)
    longer = emergency(now=NOW, until=NOW + LONGEST)
    over = emergency(now=NOW, until=NOW)
    assert one.replaces(None)
    assert emergency(now=NOW + 1).replaces(one)
    assert not one.replaces(emergency(now=NOW + 1))
    assert not longer.replaces(one)
    assert over.replaces(one)
    assert not one.replaces(over)


@pytest.mark.parametrize("behind", [0, 1, HOUR])
def test_what_ends_it_is_later_than_it_whatever_the_clock_says(behind: int) -> None:
    one = emergency(now=NOW)
    over = ending(one, now=NOW - behind, reason="mended", owner="bo", cluster="prod")
    assert over.replaces(one)
    assert over.over
    assert not over.counts(over.made_at)
    assert checked(over) == over


def test_without_one_that_is_known_all_that_was_signed_till_now_is_ended() -> None:
    over = ending(None, now=NOW, reason="mended", owner="bo", cluster="prod")
    assert over.replaces(emergency(now=NOW, until=NOW + LONGEST, namespaces=("team",)))
