"""Ed25519 signatures over sealed records, and the files that hold the keys.

Formats, names of files and how keys are rotated: docs/design/signatures.md. Nothing here says
what a file contains when it cannot be read.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec
from cryptography.exceptions import InvalidSignature as BadSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from shared.adapters.key_files import check_private
from shared.domain import signing
from shared.domain.errors import InvalidSettings, InvalidSignature
from shared.domain.signing import ROLE_OF, Body, Kind, Record, Role

MAX_FILE_BYTES = 64 * 1024
MAX_KEYS = 64
_KEY_ID_DIGITS = 16
_PUBLIC_NAME = re.compile(r"(?P<role>worker|operator)(?:-(?P<key_id>[0-9a-f]{16}))?\.pub")


def key_id_of(key: Ed25519PublicKey) -> str:
    """What a sealed record calls the key that signed it: 16 hex digits."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_KEY_ID_DIGITS]


class Ed25519Sealer:
    """A `Sealer` with one private key for one role."""

    def __init__(self, private_key: Ed25519PrivateKey, *, role: Role) -> None:
        self._key = private_key
        self._role = role
        self.key_id = key_id_of(private_key.public_key())

    @property
    def public(self) -> tuple[Ed25519PublicKey, Role]:
        """What verifies its signatures, as a ring takes it."""
        return self._key.public_key(), self._role

    def seal(self, record: msgspec.Struct, *, kind: Kind, key: str, order: int, ends: int) -> bytes:
        """Sign `record`. Raises ValueError for a kind that the key's role may not sign."""
        if ROLE_OF[kind] is not self._role:
            raise ValueError(f"a key of role {self._role} may not sign {kind} records")
        body = signing.body_of(record, kind=kind, key=key, order=order, ends=ends)
        signature = self._key.sign(signing.signing_input(self.key_id, body))
        return signing.assemble(order=order, key_id=self.key_id, signature=signature, body=body)


class KeyRing:
    """An `Unsealer` with any number of public keys, each trusted for exactly one role."""

    def __init__(self, keys: Iterable[tuple[Ed25519PublicKey, Role]]) -> None:
        self._keys: dict[str, tuple[Ed25519PublicKey, Role]] = {}
        for key, role in keys:
            key_id = key_id_of(key)
            known = self._keys.setdefault(key_id, (key, role))
            if known[1] is not role:
                raise InvalidSettings(
                    f"the signing key {key_id} is given two roles, {known[1]} and {role}; make a "
                    "key of its own for each role"
                )

    def trusts(self, key_id: str, role: Role) -> bool:
        """Whether a key is in the ring, for this role."""
        return key_id in self._keys and self._keys[key_id][1] is role

    def unseal(
        self, sealed: bytes, record_type: type[Record], *, kind: Kind, key: str
    ) -> tuple[Record, Body]:
        """Verify and read; every byte counts, those around the signed ones too."""
        parts = signing.take_apart(sealed, key=key)
        public, role = self._keys.get(parts.key_id, (None, None))
        if public is None:
            raise InvalidSignature(f"{key}: signed by a key that is not in the ring")
        if role is not ROLE_OF[kind]:
            raise InvalidSignature(f"{key}: a key of role {role} may not sign {kind} records")
        written = signing.assemble(
            order=parts.order, key_id=parts.key_id, signature=parts.signature, body=parts.body
        )
        if written != sealed:
            raise InvalidSignature(f"{key}: not written as a sealed record is")
        try:
            public.verify(parts.signature, signing.signing_input(parts.key_id, parts.body))
        except BadSignature as error:
            raise InvalidSignature(f"{key}: the signature does not hold") from error
        return signing.read_body(parts, record_type, kind=kind, key=key)


class KeyFiles(msgspec.Struct, frozen=True):
    """A key pair on disk."""

    key_id: str
    private: Path
    public: Path


def new_keys(folder: Path, *, role: Role = Role.WORKER) -> KeyFiles:
    """Make `<role>.key` (mode 0600) and `<role>.pub` in `folder`.

    Raises InvalidSettings when there is a key already (nothing is ever overwritten) or the
    folder cannot be written.
    """
    private, public = folder / f"{role}.key", folder / f"{role}.pub"
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(private, content)
        _replace(public, _public_bytes(key.public_key()))
    except FileExistsError as error:
        raise InvalidSettings(
            f"{private} is there already and is not overwritten: move it away, or make the new "
            "keys in another folder (docs/design/signatures.md tells how keys are rotated)"
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    return KeyFiles(key_id_of(key.public_key()), private, public)


def ensure_keys(folder: Path, *, role: Role = Role.WORKER) -> Path:
    """`folder`, with a key pair of `role` in it: made when there is none.

    Several processes may do this at once: one makes the key, all end with the same. Raises
    InvalidSettings when the key that is there cannot be used.
    """
    if not (folder / f"{role}.key").exists():
        try:
            new_keys(folder, role=role)
        except InvalidSettings as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
    key = _load_private(folder / f"{role}.key").public_key()
    plain = folder / f"{role}.pub"
    if not plain.exists() and not (folder / f"{role}-{key_id_of(key)}.pub").exists():
        try:
            _replace(plain, _public_bytes(key))
        except OSError as error:
            raise _unwritable(folder, error) from error
    if not load_ring(folder).trusts(key_id_of(key), role):
        raise InvalidSettings(
            f"{plain} is not the public key of {role}.key beside it: what that signs would not be "
            f"believed; put the right one there, or keep the old one as {role}-<its key id>.pub"
        )
    return folder


def ensure_all_keys(folder: Path) -> Path:
    """`folder`, with a key pair of each role in it; see `ensure_keys`."""
    for role in Role:
        ensure_keys(folder, role=role)
    return folder


def load_sealer(folder: Path, *, role: Role = Role.WORKER) -> Ed25519Sealer:
    """The sealer of `<role>.key` in `folder`. Raises InvalidSettings."""
    return Ed25519Sealer(_load_private(folder / f"{role}.key"), role=role)


def load_ring(folder: Path) -> KeyRing:
    """The ring of every `<role>.pub` and `<role>-<key id>.pub` in `folder`.

    Raises InvalidSettings for a file that is no such key, and when there is none at all.
    """
    files = _public_files(folder)
    if not files:
        raise InvalidSettings(
            f"{folder} holds no public signing key (worker.pub or worker-<key id>.pub): start a "
            "worker there first, copy the public keys of the workers into it, or correct "
            "IMAGEGATE_KEYS"
        )
    return KeyRing(_load_public(file) for file in files)


def load_ring_of(sealer: Ed25519Sealer, folder: Path) -> KeyRing:
    """The same, with the public key of one's own besides; it may be the only one."""
    return KeyRing([sealer.public, *(_load_public(file) for file in _public_files(folder))])


def _public_files(folder: Path) -> list[Path]:
    try:
        files = sorted(folder.glob("*.pub"))
    except OSError as error:
        raise InvalidSettings(f"{folder} cannot be read: {error.strerror}") from error
    if len(files) > MAX_KEYS:
        raise InvalidSettings(f"{folder} holds more than {MAX_KEYS} public keys; remove old ones")
    return files


def _load_private(path: Path) -> Ed25519PrivateKey:
    content = _read(path, secret=True)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidSettings(
            f"{path} is not a private key (PEM, PKCS8, without a password)"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSettings(f"{path} is not an Ed25519 key; make one with `imagegate keys new`")
    return key


def _load_public(path: Path) -> tuple[Ed25519PublicKey, Role]:
    name = _PUBLIC_NAME.fullmatch(path.name)
    if name is None:
        raise InvalidSettings(
            f"{path} does not say whose key it is: name it <role>.pub or <role>-<key id>.pub with "
            "the role worker or operator"
        )
    try:
        key = load_pem_public_key(_read(path, secret=False))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidSettings(f"{path} is not a public key (PEM)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSettings(f"{path} is not an Ed25519 key")
    if name["key_id"] not in (None, key_id_of(key)):
        raise InvalidSettings(f"{path} holds the key {key_id_of(key)}; name it after that")
    return key, Role(name["role"])


def _read(path: Path, *, secret: bool) -> bytes:
    try:
        with path.open("rb") as file:
            if secret:
                check_private(path, os.fstat(file.fileno()))
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        hint = ""
        if path.suffix == ".key" and isinstance(error, FileNotFoundError):
            hint = _how_to_get(path)
        raise InvalidSettings(f"the signing key {path} cannot be read: {reason}{hint}") from error


def _how_to_get(path: Path) -> str:
    if path.stem == Role.OPERATOR:
        return (
            "; let IMAGEGATE_OPERATOR_KEYS name the folder that holds it. A new one (`imagegate "
            f"keys new --role operator --out {path.parent}`) counts once every webhook has its "
            "operator.pub"
        )
    new = f"imagegate keys new --out {path.parent}"
    return f"; make it with `{new}`, or correct IMAGEGATE_KEYS"


def _public_bytes(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _create(path: Path, content: bytes) -> None:
    """Put a whole file (mode 0600) at a path where there is none; else FileExistsError."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        path.hardlink_to(file.name)


def _replace(path: Path, content: bytes) -> None:
    """Put a whole file that everybody may read at a path."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _unwritable(folder: Path, error: OSError) -> InvalidSettings:
    reason = (error.strerror or "unknown error").lower()
    return InvalidSettings(
        f"cannot write signing keys into {folder}: {reason}; choose a folder that this user may "
        "write, or make the keys elsewhere (`imagegate keys new`) and mount them"
    )
