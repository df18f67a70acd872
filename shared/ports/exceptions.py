"""Signed exceptions: kept beside verdicts, read whole by every webhook; or in files of a folder."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec

from shared.ports.verdicts import Put

MAX_EXCEPTIONS = 2_000
"""What is kept; one more is refused until an old one has ended."""

MAX_SEALED = 8_192
"""Bytes of one sealed exception: some 200 findings."""

MAX_ID = 73
"""Bytes of an id, as `shared.domain.exceptions` and `shared.domain.emergency` allow it."""


class ExceptionStore(Protocol):
    """Sealed exceptions by id, the newest each (docs/design/behaviour.md 2 and 4).

    Guarantees, shown by tests/contract: a put is atomic (refuse if older, write, announce
    `exception_key(id)` to every listener of the verdict store); after a put that said WRITTEN
    every later read has that record or a newer one of the id until its end; what has ended
    makes room and is not read. The very same record put once more is WRITTEN, and not announced.
    No read returns more than MAX_EXCEPTIONS, nor a record above MAX_SEALED or an id above MAX_ID,
    whoever wrote it.

    Errors: StoreUnreachable (within 0.1 s, or a second where no review waits), StoreMisconfigured,
    StoreRefused (puts only; also where MAX_EXCEPTIONS are kept, and above MAX_SEALED).
    """

    async def all(self) -> Mapping[str, bytes]:
        """Every sealed exception by its id, those that are revoked too."""

    async def put(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        """Keep `sealed` until `ends` (ms) unless it is older; its first 16 bytes are its order."""


class Folder(msgspec.Struct, frozen=True):
    """What stands in a folder of sealed exceptions now."""

    sealed: Mapping[str, bytes] = {}
    """By the file's name: what it holds, without the end of its line."""
    unread: Mapping[str, str] = {}
    """By the file's name, why it cannot be read; the folder itself stands under its path."""


class ExceptionFiles(Protocol):
    """Files `*.exception`, each one sealed exception: what counts without any store.

    Guarantees: a read takes MAX_EXCEPTIONS files at most, in the order of their names, and of
    each MAX_SEALED bytes; what it cannot take it says. It never raises.
    """

    async def read(self) -> Folder:
        """What is there now."""

    def changes(self) -> AsyncIterator[None]:
        """Once for each time that something may have changed; also now and then."""
