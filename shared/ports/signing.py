"""Sealing and unsealing of records (docs/design/behaviour.md 2)."""

from typing import Protocol

import msgspec

from shared.domain.signing import Body, Kind, Record


class Sealer(Protocol):
    """Holds one private key of one role.

    Guarantee: an `Unsealer` that trusts this key for this role reads back the same record,
    order and end, and nothing else does.
    """

    def seal(self, record: msgspec.Struct, *, kind: Kind, key: str, order: int, ends: int) -> bytes:
        """Sign `record` for `key`. Raises ValueError for a kind that this role may not sign."""


class Unsealer(Protocol):
    """Holds public keys, each trusted for one role."""

    def unseal(
        self, sealed: bytes, record_type: type[Record], *, kind: Kind, key: str
    ) -> tuple[Record, Body]:
        """Verify and read. Raises InvalidSignature for anything but a whole record of this
        kind and key that a trusted key of the kind's role signed. Says nothing of its end."""
