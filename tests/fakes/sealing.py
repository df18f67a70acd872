"""Sealing without public-key cryptography, for tests that are not about signatures."""

import hashlib
import hmac

import msgspec

from shared.domain import signing
from shared.domain.errors import InvalidSignature
from shared.domain.signing import Body, Kind, Record


class PlainSealer:
    """A `Sealer` and `Unsealer` that share a secret; another secret is another key."""

    def __init__(self, secret: bytes = b"one") -> None:
        self._secret = secret

    def exchange(self, secret: bytes) -> None:
        """Have another key from now on: what the old one signed is believed no more."""
        self._secret = secret

    def seal(self, record: msgspec.Struct, *, kind: Kind, key: str, order: int, ends: int) -> bytes:
        body = signing.body_of(record, kind=kind, key=key, order=order, ends=ends)
        return signing.assemble(order=order, key_id="k", signature=self._sign(body), body=body)

    def unseal(
        self, sealed: bytes, record_type: type[Record], *, kind: Kind, key: str
    ) -> tuple[Record, Body]:
        parts = signing.take_apart(sealed, key=key)
        if not hmac.compare_digest(parts.signature, self._sign(parts.body)):
            raise InvalidSignature(f"{key}: not signed by us")
        return signing.read_body(parts, record_type, kind=kind, key=key)

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)
