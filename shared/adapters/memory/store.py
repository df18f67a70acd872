"""The verdict store in process: what `imagegate up` runs on, with the guarantees of Redis."""

import asyncio
from collections.abc import Sequence

from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.ending import Ending
from shared.adapters.record_order import order_of
from shared.ports.clock import Clock
from shared.ports.verdicts import MAX_AHEAD, Listener, Put

MAX_RECORDS = 100_000


class MemoryVerdictStore:
    """A `shared.ports.verdicts.VerdictStore` for one process and one event loop.

    `leases` holds the scan records that a put removes. Above `max_records` the records that
    end soonest go.
    """

    def __init__(
        self, *, clock: Clock, leases: MemoryScanLeases, max_records: int = MAX_RECORDS
    ) -> None:
        self._clock = clock
        self._leases = leases
        self._records: Ending[bytes] = Ending(clock=clock, max_entries=max_records)
        self._inboxes: set[_Inbox] = set()

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._records.get(key) for key in keys]

    async def put(
        self, sealed: bytes, *, key: str, ends: int, scan: str = "", chain: str = ""
    ) -> Put:
        order = order_of(sealed, key=key)
        if order > self._clock.now() + MAX_AHEAD:
            return Put.AHEAD
        if ends <= self._clock.now():
            return Put.ENDED
        held = self._records.get(key)
        older = held is not None and order <= order_of(held, key=key)
        if not older:
            self._records.set(key, sealed, ends=ends)
            self.announce(key)
        if scan:
            self._leases.end(scan, chain=chain)
        return Put.OLDER if older else Put.WRITTEN

    def announce(self, key: str) -> None:
        """Tell every listener: also of what is kept beside the records."""
        for inbox in self._inboxes:
            inbox.announce(key)

    async def listen(self, listener: Listener) -> None:
        inbox = _Inbox()
        self._inboxes.add(inbox)
        try:
            listener.gap()
            while True:
                for key in await inbox.keys():
                    listener.changed(key)
        finally:
            self._inboxes.discard(inbox)

    async def keys(self, prefix: str, *, limit: int) -> list[str]:
        return [key for key, _ in self._records.items() if key.startswith(prefix)][:limit]

    async def ping(self) -> None:
        """There is nothing that could be away."""


class _Inbox:
    """What one listener has not been told yet; a key waits there once, so it cannot grow."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._arrived = asyncio.Event()

    def announce(self, key: str) -> None:
        self._keys[key] = None
        self._arrived.set()

    async def keys(self) -> list[str]:
        await self._arrived.wait()
        self._arrived.clear()
        keys, self._keys = self._keys, {}
        return list(keys)
