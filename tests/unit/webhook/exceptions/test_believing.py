"""Whose exceptions count, and which never do."""

from collections.abc import Callable

import pytest

from services.webhook.believed import Source
from services.webhook.exceptions import Uncounted
from shared.domain.exceptions import ImageException, exception_key
from shared.domain.signed_exceptions import MAX_LIFE, revocation
from shared.domain.signing import Kind
from shared.ports.verdicts import MAX_AHEAD
from tests.fakes.exceptions import OPERATOR, WORKER, forge, seal
from tests.unit.webhook.exceptions.rig import Rig


def moved(one: ImageException) -> bytes:
    return seal(one, key=exception_key("another"))


def altered(one: ImageException) -> bytes:
    return seal(one).replace(b'"team"', b'"prod"')


def by_a_worker(one: ImageException) -> bytes:
    return forge(one, WORKER)


def by_a_worker_as_a_verdict(one: ImageException) -> bytes:
    return forge(one, WORKER, kind=Kind.VERDICT)


def without_a_signature(one: ImageException) -> bytes:
    head, _, rest = seal(one).rpartition(b" ")
    return b" ".join([*head.split(b" ")[:3], b"", rest])


@pytest.mark.parametrize(
    "make",
    [moved, altered, by_a_worker, by_a_worker_as_a_verdict, without_a_signature],
)
async def test_what_no_operator_signed_for_this_id_is_not_believed(
    make: Callable[[ImageException], bytes],
) -> None:
    rig = Rig()
    rig.store.thief = {"a": make(rig.exception("a")), "good": seal(rig.exception("good"))}
    await rig.signed.read_store()
    assert rig.counting == ["good"]
    assert rig.left_out == {(Source.STORE, Uncounted.SIGNATURE): 1}


async def test_a_good_record_under_another_id_is_not_believed() -> None:
    rig = Rig()
    rig.store.thief = {"another": seal(rig.exception("a"))}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.SIGNATURE): 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"order": 1},
        {"ends": 10**14},
        {"key": exception_key("another")},
    ],
)
async def test_what_the_record_around_it_says_otherwise_does_not_count(
    changes: dict[str, object],
) -> None:
    rig = Rig()
    key = str(changes.get("key", exception_key("a")))
    rig.store.thief = {key.partition(":")[2]: forge(rig.exception("a"), OPERATOR, **changes)}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.INVALID): 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"findings": ()},
        {"namespaces": ()},
        {"namespaces": ("Not-a-namespace",)},
        {"image": "registry.test/team/a:1"},
        {"image": "registry.test/team/a"},
        {"reason": ""},
        {"owner": "a\nb"},
    ],
)
async def test_what_no_exception_may_say_does_not_count_whoever_signed_it(
    changes: dict[str, object],
) -> None:
    rig = Rig()
    rig.store.thief = {"a": seal(rig.exception("a", **changes))}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.INVALID): 1}


async def test_none_lasts_longer_than_may_be() -> None:
    rig = Rig()
    now = rig.clock.now()
    rig.store.thief = {
        "long": seal(rig.exception("long", expires=now + MAX_LIFE)),
        "longer": seal(rig.exception("longer", expires=now + MAX_LIFE + 1)),
    }
    await rig.signed.read_store()
    assert rig.counting == ["long"]


async def test_one_that_was_made_in_the_future_counts_once_that_has_come() -> None:
    """It would outlive `MAX_LIFE`, which bounds how long a revocation can be withheld."""
    rig = Rig()
    made_at = rig.clock.now() + MAX_AHEAD + 1
    ahead = rig.exception("ahead", made_at=made_at, expires=made_at + MAX_LIFE)
    rig.files.sealed["a.exception"] = seal(ahead)
    await rig.signed.read_folder()
    assert rig.counting == []
    assert rig.left_out == {(Source.FOLDER, Uncounted.AHEAD): 1}
    rig.clock.advance(1)
    await rig.signed.read_folder()
    assert rig.counting == ["ahead"]


async def test_a_revocation_holds_whatever_clock_made_it() -> None:
    rig = Rig()
    one = rig.exception("a")
    rig.files.sealed["a.exception"] = seal(one)
    await rig.signed.read_folder()
    rig.files.sealed["a.exception"] = seal(revocation(one, now=one.expires - 1))
    await rig.signed.read_folder()
    assert (rig.counting, rig.left_out) == ([], {})


async def test_one_without_an_id_cannot_be_revoked_and_does_not_count() -> None:
    rig = Rig()
    rig.files.sealed["a.exception"] = seal(rig.exception(""))
    await rig.signed.read_folder()
    assert rig.left_out == {(Source.FOLDER, Uncounted.INVALID): 1}


@pytest.mark.parametrize("junk", [b"", b"\xff" * 500, b"0" * 16 + b" 1 k s {}", b"[" * 8_000])
async def test_junk_is_counted_and_never_fatal(junk: bytes) -> None:
    rig = Rig()
    rig.store.thief = {"a": junk}
    rig.files.sealed["a.exception"] = junk
    await rig.signed.first()
    assert rig.left_out == {(source, Uncounted.SIGNATURE): 1 for source in Source}


async def test_a_verdict_in_the_folder_is_no_exception() -> None:
    rig = Rig()
    sealed = forge(rig.exception("a"), WORKER, kind=Kind.VERDICT, key="verdict:a@sha256:1")
    rig.files.sealed["a.exception"] = sealed
    await rig.signed.read_folder()
    assert rig.left_out == {(Source.FOLDER, Uncounted.SIGNATURE): 1}
