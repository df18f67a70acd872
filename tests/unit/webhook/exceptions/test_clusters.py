"""In which of several clusters an exception counts that share a store, or know the same key."""

import logging

import msgspec
import pytest

from services.webhook.believed import Source
from services.webhook.exceptions import Uncounted
from shared.domain.exceptions import exception_key
from shared.domain.signed_exceptions import revocation
from shared.domain.signing import Kind
from tests.fakes.exceptions import OPERATOR, RING, SEALER, forge, seal
from tests.unit.webhook.exceptions.rig import Rig


class Older(msgspec.Struct, frozen=True):
    """An exception as it was signed before any named a cluster."""

    image: str
    findings: tuple[str, ...]
    namespaces: tuple[str, ...]
    reason: str
    owner: str
    expires: int
    id: str = ""
    made_at: int = 0
    revoked: bool = False


@pytest.mark.parametrize(
    ("cluster", "counting"),
    [
        ("production", ["everywhere", "ours"]),
        ("staging", ["elsewhere", "everywhere"]),
        ("", ["everywhere"]),
    ],
)
async def test_one_counts_in_the_cluster_that_it_names_and_without_a_name_in_each(
    cluster: str, counting: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(cluster=cluster)
    await rig.put(rig.exception("ours", cluster="production"))
    await rig.put(rig.exception("elsewhere", cluster="staging"))
    await rig.put(rig.exception("everywhere"))
    with caplog.at_level(logging.INFO):
        await rig.signed.read_store()
    assert rig.counting == counting
    assert rig.signed.numbers()[Source.STORE] == len(counting)
    # That others have exceptions in a store that is shared is nobody's trouble.
    assert not rig.left_out
    told = [vars(one)["id"] for one in caplog.records if one.message == "exception counts"]
    assert sorted(told) == counting


async def test_a_file_of_another_cluster_is_left_out_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(cluster="production")
    rig.files.sealed["x.exception"] = seal(rig.exception("a", cluster="staging"))
    await rig.signed.read_folder()
    assert rig.counting == []
    assert rig.left_out == {(Source.FOLDER, Uncounted.INVALID): 1}
    said = vars(caplog.records[0])
    assert (said["message"], said["id"]) == ("exception does not count", "x.exception")
    assert said["why"] == (
        "cluster: 'staging' is meant, and this is 'production' (IMAGEGATE_CLUSTER)"
    )


async def test_a_thief_who_moves_one_to_another_cluster_has_nothing_of_it() -> None:
    rig = Rig(cluster="production")
    sealed = seal(rig.exception("a", cluster="staging"))
    rig.store.thief = {"a": sealed.replace(b'"staging"', b'"production"')}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.SIGNATURE): 1}


async def test_of_one_id_the_newest_holds_for_whichever_cluster_it_is() -> None:
    rig = Rig(cluster="production")
    one = rig.exception("a")
    await rig.put(one)
    await rig.signed.read_store()
    assert rig.counting == ["a"]
    await rig.put(rig.exception("a", cluster="staging", made_at=one.made_at + 1))
    await rig.signed.read_store()
    assert rig.counting == []


async def test_a_revocation_is_for_the_cluster_of_what_it_revokes() -> None:
    rig = Rig(cluster="production")
    one = rig.exception("a", cluster="production")
    await rig.put(one)
    await rig.signed.read_store()
    assert rig.counting == ["a"]
    taken = revocation(one, now=rig.clock.now())
    assert taken.cluster == "production"
    await rig.put(taken)
    await rig.signed.read_store()
    assert rig.counting == []


@pytest.mark.parametrize("name", ["Staging", "a b", "-a", "a" * 64])
async def test_one_for_what_no_cluster_can_be_called_does_not_count(name: str) -> None:
    rig = Rig(cluster="production")
    rig.store.thief = {"a": forge(rig.exception("a", cluster=name), OPERATOR)}
    await rig.signed.read_store()
    assert rig.left_out == {(Source.STORE, Uncounted.INVALID): 1}


async def test_what_was_signed_before_any_named_a_cluster_counts_in_each() -> None:
    rig = Rig(cluster="production")
    one = rig.exception("a")
    older = Older(*[getattr(one, field) for field in Older.__struct_fields__])
    key = exception_key("a")
    sealed = SEALER.seal(older, kind=Kind.EXCEPTION, key=key, order=one.made_at, ends=one.expires)
    assert b"cluster" not in sealed
    rig.store.thief = {"a": sealed}
    await rig.signed.read_store()
    assert rig.counting == ["a"]
    # And the other way round: one without a cluster says the same to an older webhook.
    assert RING.unseal(seal(one), Older, kind=Kind.EXCEPTION, key=key)[0] == older
