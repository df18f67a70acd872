"""Exceptions as operators sign them, and as a thief would like to have them."""

from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.adapters.signatures import Ed25519Sealer, KeyRing, key_id_of
from shared.domain.emergency import LONGEST, Emergency, emergency_key
from shared.domain.exceptions import ALL, ImageException, exception_key
from shared.domain.pointer import MINUTE
from shared.domain.signing import Kind, Role, assemble, body_of, signing_input
from shared.ports.signing import Sealer

DIGEST = f"sha256:{'d' * 64}"
HOUR = 60 * MINUTE

OPERATOR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WORKER = Ed25519PrivateKey.from_private_bytes(bytes(32))
RING = KeyRing([(OPERATOR.public_key(), Role.OPERATOR), (WORKER.public_key(), Role.WORKER)])
SEALER = Ed25519Sealer(OPERATOR, role=Role.OPERATOR)


def exception(name: str, *, now: int, **changes: Any) -> ImageException:
    """Of that id, made now and for an hour, but for `changes`."""
    plain = ImageException(
        image=f"registry.test/team/{name}@{DIGEST}",
        findings=(ALL,),
        namespaces=("team",),
        reason="no fix yet",
        owner="ada",
        expires=now + HOUR,
        id=name,
        made_at=now,
    )
    return msgspec.structs.replace(plain, **changes)


def seal(one: ImageException, *, sealer: Sealer = SEALER, key: str = "") -> bytes:
    """As `imagegate allow` does; `key`: for another id."""
    return sealer.seal(
        one,
        kind=Kind.EXCEPTION,
        key=key or exception_key(one.id),
        order=one.made_at,
        ends=one.expires,
    )


def forge(one: ImageException, private: Ed25519PrivateKey, **changes: Any) -> bytes:
    """Signed by any key, whatever its role; `changes` are of the body around the exception."""
    fields = {"kind": Kind.EXCEPTION, "key": exception_key(one.id)}
    body = body_of(one, **(fields | {"order": one.made_at, "ends": one.expires} | changes))
    key_id = key_id_of(private.public_key())
    signature = private.sign(signing_input(key_id, body))
    return assemble(
        order=changes.get("order", one.made_at), key_id=key_id, signature=signature, body=body
    )


def emergency(*, now: int, **changes: Any) -> Emergency:
    """Declared now and for an hour, everywhere in the cluster "prod", but for `changes`."""
    plain = Emergency(("*",), "Redis is broken", "ada", now, until=now + HOUR, cluster="prod")
    return msgspec.structs.replace(plain, **changes)


def seal_emergency(one: Emergency, *, sealer: Sealer = SEALER) -> bytes:
    """As `imagegate emergency` does."""
    return sealer.seal(
        one,
        kind=Kind.EMERGENCY,
        key=emergency_key(one.cluster),
        order=one.made_at,
        ends=one.made_at + LONGEST,
    )


def forge_emergency(one: Emergency, private: Ed25519PrivateKey = OPERATOR, **changes: Any) -> bytes:
    """Signed by any key, whatever its role; `changes` are of the body around the emergency."""
    fields: dict[str, Any] = {"kind": Kind.EMERGENCY, "key": emergency_key(one.cluster)}
    fields |= {"order": one.made_at, "ends": one.made_at + LONGEST} | changes
    body = body_of(one, **fields)
    key_id = key_id_of(private.public_key())
    signature = private.sign(signing_input(key_id, body))
    return assemble(order=one.made_at, key_id=key_id, signature=signature, body=body)
