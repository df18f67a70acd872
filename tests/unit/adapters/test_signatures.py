"""Sealed records: nothing but the whole record that was signed is believed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as make_p256
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.signatures import (
    Ed25519Sealer,
    KeyRing,
    ensure_keys,
    key_id_of,
    load_ring,
    load_sealer,
    new_keys,
)
from shared.domain import signing
from shared.domain.errors import InvalidSettings, InvalidSignature
from shared.domain.pointer import Pointer
from shared.domain.signing import ROLE_OF, Kind, Role
from shared.ports.signing import Sealer, Unsealer

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = "pointer:registry.corp/team/app:1"
RECORD = Pointer(reference="registry.corp/team/app:1", asked_at=7, digest=f"sha256:{'a' * 64}")
SEALER = Ed25519Sealer(PRIVATE, role=Role.WORKER)
RING = KeyRing([(PRIVATE.public_key(), Role.WORKER)])
SEALED = SEALER.seal(RECORD, kind=Kind.POINTER, key=KEY, order=7, ends=99)


def unseal(sealed: bytes, *, ring: Unsealer = RING, kind: Kind = Kind.POINTER) -> Pointer:
    return ring.unseal(sealed, Pointer, kind=kind, key=KEY)[0]


def seal_with(sealer: Sealer, *, key: str = KEY, kind: Kind = Kind.POINTER) -> bytes:
    return sealer.seal(RECORD, kind=kind, key=key, order=7, ends=99)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_sealed_record_is_read_back_with_its_order_and_end() -> None:
    record, body = RING.unseal(SEALED, Pointer, kind=Kind.POINTER, key=KEY)
    assert record == RECORD
    assert (body.order, body.ends, body.kind, body.key) == (7, 99, Kind.POINTER, KEY)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(position: int, flip: int) -> None:
    altered = bytearray(SEALED)
    altered[position] ^= flip
    with pytest.raises(InvalidSignature):
        unseal(bytes(altered))


def test_no_bit_of_any_byte_can_be_changed() -> None:
    for position in range(len(SEALED)):
        for bit in range(8):
            altered = bytearray(SEALED)
            altered[position] ^= 1 << bit
            with pytest.raises(InvalidSignature):
                unseal(bytes(altered))


@given(st.integers(0, len(SEALED)), st.binary(min_size=1, max_size=8))
def test_nothing_can_be_put_in(position: int, inserted: bytes) -> None:
    with pytest.raises(InvalidSignature):
        unseal(SEALED[:position] + inserted + SEALED[position:])


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 8))
def test_nothing_can_be_taken_out(position: int, length: int) -> None:
    with pytest.raises(InvalidSignature):
        unseal(SEALED[:position] + SEALED[position + length :])


@given(st.binary(max_size=300))
def test_anything_else_is_no_sealed_record(sealed: bytes) -> None:
    with pytest.raises(InvalidSignature):
        unseal(sealed)


def test_a_record_cannot_be_moved_to_another_key() -> None:
    moved = seal_with(SEALER, key="pointer:registry.corp/team/other:1")
    with pytest.raises(InvalidSignature, match="was signed for"):
        unseal(moved)


def test_a_record_cannot_be_taken_for_another_kind() -> None:
    with pytest.raises(InvalidSignature, match="was signed for"):
        unseal(seal_with(SEALER, kind=Kind.VERDICT))


def test_a_record_cannot_be_given_another_order() -> None:
    parts = signing.take_apart(SEALED, key=KEY)
    moved = signing.assemble(
        order=8, key_id=parts.key_id, signature=parts.signature, body=parts.body
    )
    with pytest.raises(InvalidSignature):
        unseal(moved)


def test_parts_of_two_records_do_not_make_a_third() -> None:
    one = signing.take_apart(SEALED, key=KEY)
    later = SEALER.seal(RECORD, kind=Kind.POINTER, key=KEY, order=8, ends=100)
    other = signing.take_apart(later, key=KEY)
    mixed = signing.assemble(
        order=other.order, key_id=one.key_id, signature=one.signature, body=other.body
    )
    with pytest.raises(InvalidSignature, match="does not hold"):
        unseal(mixed)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_key_signs_only_the_kinds_of_its_role(kind: Kind) -> None:
    for role in Role:
        sealer = Ed25519Sealer(PRIVATE, role=role)
        ring = KeyRing([(PRIVATE.public_key(), role)])
        if ROLE_OF[kind] is role:
            assert unseal(seal_with(sealer, kind=kind), ring=ring, kind=kind) == RECORD
        else:
            with pytest.raises(ValueError, match="may not sign"):
                seal_with(sealer, kind=kind)


def test_a_key_of_the_wrong_role_is_not_believed_though_its_signature_holds() -> None:
    operators = KeyRing([(PRIVATE.public_key(), Role.OPERATOR)])
    with pytest.raises(InvalidSignature, match="operator may not sign pointer"):
        unseal(SEALED, ring=operators)


def test_a_key_that_is_not_in_the_ring_is_not_believed() -> None:
    with pytest.raises(InvalidSignature, match="not in the ring"):
        unseal(seal_with(Ed25519Sealer(OTHER, role=Role.WORKER)))


def test_a_record_signed_for_another_type_cannot_be_read() -> None:
    class Another(msgspec.Struct):
        something: int

    with pytest.raises(InvalidSignature, match="cannot be read"):
        RING.unseal(SEALED, Another, kind=Kind.POINTER, key=KEY)


def test_a_key_cannot_have_two_roles() -> None:
    public = PRIVATE.public_key()
    with pytest.raises(InvalidSettings, match="two roles"):
        KeyRing([(public, Role.WORKER), (public, Role.OPERATOR)])


def test_new_keys_are_a_private_file_and_a_public_one(tmp_path: Path) -> None:
    made = new_keys(tmp_path / "keys")
    assert made.private == tmp_path / "keys" / "worker.key"
    assert made.private.stat().st_mode & 0o777 == 0o600
    assert made.public.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        "worker.key",
        "worker.pub",
    ]
    sealer = load_sealer(tmp_path / "keys")
    assert sealer.key_id == made.key_id
    assert unseal(seal_with(sealer), ring=load_ring(tmp_path / "keys")) == RECORD


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    new_keys(tmp_path)
    before = (tmp_path / "worker.key").read_bytes()
    with pytest.raises(InvalidSettings, match="there already"):
        new_keys(tmp_path)
    assert (tmp_path / "worker.key").read_bytes() == before


def test_keys_are_made_once_and_then_kept(tmp_path: Path) -> None:
    folder = ensure_keys(tmp_path / "keys")
    before = load_sealer(folder).key_id
    (folder / "worker.pub").unlink()
    assert load_sealer(ensure_keys(folder)).key_id == before
    assert unseal(seal_with(load_sealer(folder)), ring=load_ring(folder)) == RECORD


def test_many_processes_that_start_at_once_end_with_the_same_key(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: load_sealer(ensure_keys(folder)).key_id, range(32)))
    assert set(made) == {load_sealer(folder).key_id}
    assert sorted(path.name for path in folder.iterdir()) == ["worker.key", "worker.pub"]


def test_a_private_key_whose_public_key_is_another_is_refused_at_start(tmp_path: Path) -> None:
    new_keys(tmp_path)
    (tmp_path / "worker.pub").write_bytes(public_pem(PRIVATE))
    with pytest.raises(InvalidSettings, match=r"worker\.pub is not the public key of"):
        ensure_keys(tmp_path)


def test_operators_have_keys_of_their_own(tmp_path: Path) -> None:
    new_keys(tmp_path)
    new_keys(tmp_path, role=Role.OPERATOR)
    sealed = seal_with(load_sealer(tmp_path, role=Role.OPERATOR), kind=Kind.EXCEPTION)
    assert unseal(sealed, ring=load_ring(tmp_path), kind=Kind.EXCEPTION) == RECORD


def test_a_ring_of_old_and_new_keys_believes_both_until_the_old_one_is_removed(
    tmp_path: Path,
) -> None:
    ring_folder = tmp_path / "ring"
    ring_folder.mkdir()
    sealed = []
    for name in ("old", "new"):
        made = new_keys(tmp_path / name)
        sealed.append(seal_with(load_sealer(tmp_path / name)))
        target = ring_folder / f"worker-{made.key_id}.pub"
        target.write_bytes(made.public.read_bytes())
    assert [unseal(each, ring=load_ring(ring_folder)) for each in sealed] == [RECORD, RECORD]
    (ring_folder / f"worker-{load_sealer(tmp_path / 'old').key_id}.pub").unlink()
    assert unseal(sealed[1], ring=load_ring(ring_folder)) == RECORD
    with pytest.raises(InvalidSignature, match="not in the ring"):
        unseal(sealed[0], ring=load_ring(ring_folder))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    new_keys(tmp_path)
    (tmp_path / "worker.key").chmod(mode)
    with pytest.raises(InvalidSettings, match=r"worker\.key can be read by others.*chmod 600"):
        load_sealer(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a private key"),
        (b"\xff\x00", "not a private key"),
        (public_pem(PRIVATE), "not a private key"),
        (
            PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "without a password",
        ),
        (
            make_p256(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "not an Ed25519 key",
        ),
    ],
)
def test_a_private_key_that_is_none_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "worker.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InvalidSettings, match=rf"worker\.key.*{said}"):
        load_sealer(tmp_path)


def test_a_private_key_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"worker\.key cannot be read: no such file"):
        load_sealer(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("worker.pub", b"x", "not a public key"),
        ("mine.pub", public_pem(PRIVATE), "does not say whose key"),
        ("admin.pub", public_pem(PRIVATE), "does not say whose key"),
        ("worker-0000000000000000.pub", public_pem(PRIVATE), "name it after that"),
        (
            "worker.pub",
            make_p256(SECP256R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "not an Ed25519 key",
        ),
    ],
)
def test_a_public_key_that_is_none_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidSettings, match=said) as caught:
        load_ring(tmp_path)
    assert name in str(caught.value)


def test_a_ring_without_keys_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(InvalidSettings, match="holds no public signing key"):
            load_ring(folder)


def test_a_key_id_is_of_the_public_key_alone() -> None:
    assert key_id_of(PRIVATE.public_key()) == SEALER.key_id
    assert len(SEALER.key_id) == 16
    assert key_id_of(OTHER.public_key()) != SEALER.key_id


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match="cannot write signing keys"):
        new_keys(tmp_path / "file" / os.curdir / "keys")
