"""The verdict store: sealed records by key, the newest each, and word of every change."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class Put(StrEnum):
    """What became of a record that was put."""

    WRITTEN = "written"
    OLDER = "older"
    """The store holds one that is as new or newer."""
    AHEAD = "ahead"
    """Its order is more than `MAX_AHEAD` ahead of the store's clock."""
    ENDED = "ended"
    """Its end is past on the store's clock; what the store holds stays."""


MAX_AHEAD = 5_000
"""Milliseconds."""


class Listener(Protocol):
    """Hears announcements. Calls are quick and never raise."""

    def changed(self, key: str) -> None:
        """The record of `key` changed; only a hint to read it."""

    def gap(self) -> None:
        """Announcements may have been missed: everything may have changed."""


class VerdictStore(Protocol):
    """Sealed records (docs/design/protocol.md).

    Guarantees, shown by tests/contract: a put is atomic (refuse if older, write, announce,
    remove the scan record); after a put that said WRITTEN every later read sees that record or
    a newer one, until its end; every listener hears of it or gets a gap; `gap` is called once
    when a listener is first attached and after each interruption.

    Errors: StoreUnreachable (within 0.1 s, or a second where no review waits), StoreMisconfigured,
    StoreRefused (puts only).
    """

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The sealed records of `keys`, in their order; concurrent calls share a round trip."""

    async def put(
        self, sealed: bytes, *, key: str, ends: int, scan: str = "", chain: str = ""
    ) -> Put:
        """Keep `sealed` until `ends` (ms) unless it is older; its first 16 bytes are its order.

        With `scan` and `chain` the scan record of that chain is removed in the same stroke,
        also when the record was older (the chain is over either way).
        """

    async def listen(self, listener: Listener) -> None:
        """Deliver announcements until cancelled; survives a restart or a hang of the store."""

    async def keys(self, prefix: str, *, limit: int) -> list[str]:
        """At most `limit` keys that begin with `prefix`; for people, not for reviews."""

    async def ping(self) -> None:
        """A real question to the store."""
