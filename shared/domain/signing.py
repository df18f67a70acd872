"""Sealed records: what may be believed from a store that others can write to.

A sealed record is one line of ASCII and then the record:

    <order, 16 digits> <version> <key id> <signature, base64url> <body, JSON>

`order` stands in front so that a store's script can refuse an older record by comparing
bytes. The signature is made over `imagegate/<version>\\n<key id>\\n` and the body; the body
names its kind, its full key, its order and its end, so that nothing can be moved to another
image or outlive itself (docs/design/behaviour.md 2). What is verified are the very bytes that
were signed: no canonical form has to be found again.

This module knows bytes only. Keys are the business of `shared.ports.signing`.
"""

import base64
import binascii
from enum import StrEnum
from typing import TypeVar

import msgspec

from shared.domain.errors import InvalidSignature

VERSION = "1"
ORDER_DIGITS = 16

Record = TypeVar("Record", bound=msgspec.Struct)


class Kind(StrEnum):
    """What a sealed record is; a key's role says which kinds it may sign."""

    VERDICT = "verdict"
    POINTER = "pointer"
    INDEX = "index"
    REVISION = "revision"
    PLATFORMS = "platforms"
    EXCEPTION = "exception"
    EMERGENCY = "emergency"


class Role(StrEnum):
    """Workers say what scanners and registries said; operators make exceptions, and say that there
    is an emergency."""

    WORKER = "worker"
    OPERATOR = "operator"


ROLE_OF = {
    Kind.VERDICT: Role.WORKER,
    Kind.POINTER: Role.WORKER,
    Kind.INDEX: Role.WORKER,
    Kind.REVISION: Role.WORKER,
    Kind.PLATFORMS: Role.WORKER,
    Kind.EXCEPTION: Role.OPERATOR,
    Kind.EMERGENCY: Role.OPERATOR,
}


class Body(msgspec.Struct, frozen=True):
    """What is signed: the record and everything it is good for. Times in milliseconds."""

    kind: Kind
    key: str
    order: int
    ends: int
    record: msgspec.Raw


class Parts(msgspec.Struct, frozen=True):
    """A sealed record, taken apart and not yet believed."""

    order: int
    key_id: str
    signature: bytes
    body: bytes


_BODY = msgspec.json.Decoder(Body)


def body_of(record: msgspec.Struct, *, kind: Kind, key: str, order: int, ends: int) -> bytes:
    """The bytes of a record's body."""
    return msgspec.json.encode(
        Body(kind, key, order, ends, msgspec.Raw(msgspec.json.encode(record)))
    )


def signing_input(key_id: str, body: bytes) -> bytes:
    """What a signature is made over."""
    return f"imagegate/{VERSION}\n{key_id}\n".encode() + body


def assemble(*, order: int, key_id: str, signature: bytes, body: bytes) -> bytes:
    """Put a sealed record together."""
    text = base64.urlsafe_b64encode(signature).decode()
    return f"{order:0{ORDER_DIGITS}d} {VERSION} {key_id} {text} ".encode() + body


def take_apart(sealed: bytes, *, key: str) -> Parts:
    """Split a sealed record; raises InvalidSignature for anything else."""
    try:
        order, version, key_id, signature, body = sealed.split(b" ", 4)
        parts = Parts(int(order), key_id.decode("ascii"), base64.urlsafe_b64decode(signature), body)
    except (ValueError, binascii.Error) as error:
        raise InvalidSignature(f"{key}: not a sealed record") from error
    if version != VERSION.encode():
        raise InvalidSignature(f"{key}: the record's format is {version!r}, not {VERSION!r}")
    return parts


def read_body(
    parts: Parts, record_type: type[Record], *, kind: Kind, key: str
) -> tuple[Record, Body]:
    """Read a body whose signature was verified; raises InvalidSignature if it is another's."""
    try:
        body = _BODY.decode(parts.body)
        if body.kind is not kind or body.key != key or body.order != parts.order:
            raise InvalidSignature(f"{key}: the record was signed for {body.kind} {body.key}")
        return msgspec.json.decode(body.record, type=record_type), body
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSignature(f"{key}: the signed record cannot be read: {error}") from error


def order_of(sealed: bytes) -> int:
    """The order that a sealed record claims, unverified: for stores that keep the newest."""
    return int(sealed[:ORDER_DIGITS])


def claimed_key(sealed: bytes) -> str:
    """The key that a sealed record says it was signed for, unverified: for records that stand
    under no key. Raises InvalidSignature for anything else."""
    parts = take_apart(sealed, key="a record")
    try:
        return _BODY.decode(parts.body).key
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSignature(f"the signed record cannot be read: {error}") from error
