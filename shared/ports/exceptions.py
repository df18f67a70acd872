"""Signed exceptions: kept beside verdicts, read whole by every webhook."""

from collections.abc import Mapping
from typing import Protocol

from shared.ports.verdicts import Put

MAX_EXCEPTIONS = 2_000
"""What is kept; one more is refused until an old one has ended."""


class ExceptionStore(Protocol):
    """Sealed exceptions by id, the newest each (docs/design/behaviour.md 2 and 4).

    Guarantees, shown by tests/contract: a put is atomic (refuse if older, write, announce
    `exception_key(id)` to every listener of the verdict store); after a put that said WRITTEN
    every later read has that record or a newer one of the id until its end; what has ended
    makes room and is not read.

    Errors: StoreUnreachable (within about 0.1 s), StoreMisconfigured, StoreRefused (puts only; also
    where MAX_EXCEPTIONS are kept).
    """

    async def all(self) -> Mapping[str, bytes]:
        """Every sealed exception by its id, those that are revoked too."""

    async def put(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        """Keep `sealed` until `ends` (ms) unless it is older; its first 16 bytes are its order."""
