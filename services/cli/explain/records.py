"""What the store says, verified: read once a key, as a webhook reads it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from shared.domain.errors import InvalidSignature
from shared.domain.records import record_type
from shared.ports.clock import Clock
from shared.ports.signing import Unsealer


class SealedRecords(Protocol):
    """Whoever has the store. Errors: ImagegateError."""

    async def sealed_record(self, key: str) -> bytes | None:
        """The store's record under one key."""


class Reader:
    """Reads and verifies records."""

    def __init__(self, *, sealed: SealedRecords, unsealer: Unsealer, clock: Clock) -> None:
        self._sealed = sealed
        self._unsealer = unsealer
        self._clock = clock
        self._read: dict[str, msgspec.Struct | None] = {}
        self.strange: set[str] = set()
        """Keys whose records nobody we trust signed: to a webhook they are not there."""

    def held(self, keys: Sequence[str]) -> list[msgspec.Struct | None] | None:
        """The records of `keys` if all were read; None where some were not."""
        if any(key not in self._read for key in keys):
            return None
        return [self._read[key] for key in keys]

    async def read(self, keys: Sequence[str]) -> list[msgspec.Struct | None]:
        """The records of `keys` in their order."""
        for key in keys:
            if key not in self._read:
                self._read[key] = await self._opened(key)
        return [self._read[key] for key in keys]

    async def _opened(self, key: str) -> msgspec.Struct | None:
        sealed = await self._sealed.sealed_record(key)
        if sealed is None:
            return None
        kind, record = record_type(key)
        try:
            opened, body = self._unsealer.unseal(sealed, record, kind=kind, key=key)
        except InvalidSignature:
            self.strange.add(key)
            return None
        return opened if body.ends > self._clock.now() else None
