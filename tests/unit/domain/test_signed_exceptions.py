"""What a signed exception must say beside what every one must, and how it is taken back."""

import msgspec
import pytest

from shared.domain.errors import InvalidException
from shared.domain.exceptions import ImageException, exception_key
from shared.domain.signed_exceptions import MAX_LIFE, agreed, revocation
from shared.domain.signing import Body, Kind
from tests.fakes.clock import START
from tests.fakes.exceptions import HOUR, exception

ONE = exception("a1b2", now=START)


def body_of(one: ImageException, **changes: object) -> Body:
    plain = Body(
        Kind.EXCEPTION, exception_key(one.id), one.made_at, one.expires, msgspec.Raw(b"{}")
    )
    return msgspec.structs.replace(plain, **changes)


def test_one_whose_record_says_the_same_is_taken_as_it_is() -> None:
    assert agreed(ONE, body_of(ONE)) == ONE


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"key": "exception:other"}, "id"), ({"order": 1}, "expires"), ({"ends": 1}, "expires")],
)
def test_one_whose_record_says_otherwise_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidException) as caught:
        agreed(ONE, body_of(ONE, **changes))
    assert caught.value.field == field


def test_one_without_an_id_is_refused() -> None:
    one = exception("", now=START)
    with pytest.raises(InvalidException, match=r"^id: "):
        agreed(one, body_of(one))


def test_what_every_exception_must_say_it_must_say_too() -> None:
    one = exception("a", now=START, reason="")
    with pytest.raises(InvalidException, match=r"^reason: "):
        agreed(one, body_of(one))


@pytest.mark.parametrize("life", [MAX_LIFE + 1, 10**13])
def test_none_lasts_longer_than_a_month(life: int) -> None:
    one = exception("a", now=START, expires=START + life)
    with pytest.raises(InvalidException, match=r"^expires: is more than 30 days"):
        agreed(one, body_of(one))


def test_a_revocation_is_newer_and_remembered_as_long_as_what_it_revokes() -> None:
    taken = revocation(ONE, now=START + 5, reason="fixed")
    assert (taken.id, taken.expires, taken.made_at) == (ONE.id, ONE.expires, START + 5)
    assert (taken.revoked, taken.reason) == (True, "fixed")
    assert not taken.counts(START + 6)
    assert agreed(taken, body_of(taken)) == taken


def test_it_is_newer_also_by_a_clock_that_is_behind_and_keeps_a_reason() -> None:
    taken = revocation(ONE, now=START - HOUR)
    assert taken.made_at == ONE.made_at + 1
    assert taken.reason == ONE.reason
