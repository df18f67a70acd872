"""The near cache: what this process read from the store, verified, for a few seconds.

An entry is asked for again after `RECHECK` seconds or an announcement. A sealed record is its
own proof: while the store cannot be reached, or no longer has it, an entry serves to its
signed end (docs/design/behaviour.md 2). A read that began before an announcement of its key
was handled never fills the cache (docs/design/protocol.md, "Invariants").
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from services.webhook.entries import MAX_ABSENT, RECHECK, Entries, Entry
from services.webhook.trouble import OnTrouble, trouble_of
from shared.domain.errors import InvalidSignature, StoreError, StoreUnreachable
from shared.domain.pointer import FOREVER
from shared.domain.records import record_type
from shared.ports.clock import Clock
from shared.ports.signing import Unsealer
from shared.ports.verdicts import VerdictStore

STORE_REST = 1.0
"""Seconds in which a store that did not answer is not asked again."""

MAX_ROUNDS = 5
"""Reads of one look that announcements may overtake."""


class Look(msgspec.Struct):
    """What is known of some keys."""

    records: list[msgspec.Struct | None]
    trouble: StoreError | None = None
    """The store could not be asked: an absent record may exist."""
    lost: bool = False
    """The store no longer has a record that is served from here."""


class NearCache:
    """Bounded in entries and bytes; a `Listener` of the store's announcements."""

    def __init__(
        self,
        *,
        store: VerdictStore,
        unsealer: Unsealer,
        clock: Clock,
        max_entries: int = 50_000,
        max_bytes: int = 64 * 2**20,
        max_absent: int = MAX_ABSENT,
        on_bad_signature: Callable[[str], None] = lambda key: None,
        on_change: Callable[[str | None], None] = lambda key: None,
        on_trouble: OnTrouble = lambda trouble: None,
    ) -> None:
        """The bounds are those of `Entries`. `on_change` is told of a changed key, or None after a
        gap, once it is forgotten here."""
        self._store = store
        self._unsealer = unsealer
        self._clock = clock
        self._entries = Entries(max_entries=max_entries, max_bytes=max_bytes, max_absent=max_absent)
        self._reads: dict[str, asyncio.Future[None]] = {}
        self._store_rests_until = 0.0
        self._trouble: StoreError | None = None
        self._on_bad_signature = on_bad_signature
        self._on_change = on_change
        self._on_trouble = on_trouble

    @property
    def entries(self) -> int:
        """How many keys are held."""
        return len(self._entries)

    @property
    def size(self) -> int:
        """What they take, about (bytes)."""
        return self._entries.size

    # The listener's half.

    def changed(self, key: str) -> None:
        """An announcement: whatever is held or being read of `key` must be asked for again."""
        self._doubt(key)
        self._on_change(key)

    def gap(self) -> None:
        """Announcements may have been missed."""
        for key in list(self._entries):
            self._doubt(key)
        self._reads.clear()
        self._store_rests_until = 0.0
        self._on_change(None)

    def _doubt(self, key: str) -> None:
        self._reads.pop(key, None)
        self._entries.doubt(key)

    # The reader's half.

    def glance(self, keys: Sequence[str]) -> list[Entry] | None:
        """The entries of `keys` if all are held and fresh, without waiting; else None."""
        now = self._clock.now()
        since = self._clock.monotonic() - RECHECK
        entries = []
        for key in keys:
            entry = self._entries.get(key)
            if entry is None or entry.checked < since or entry.lost or entry.ends <= now:
                return None
            entries.append(entry)
        return entries

    async def read(self, keys: Sequence[str], *, fresh: bool = False) -> Look:
        """The records of `keys`; `fresh`: as the store has them now, should it answer."""
        began = self._clock.monotonic()
        trouble = None
        for _ in range(MAX_ROUNDS):
            wanted = [key for key in keys if not self._good_since(key, began, fresh=fresh)]
            if not wanted or (trouble := await self._fill(wanted)) is not None:
                break
        else:
            trouble = StoreUnreachable("the record changes faster than it can be read")
        return self._look(keys, trouble)

    def _good_since(self, key: str, began: float, *, fresh: bool) -> bool:
        entry = self._entries.get(key)
        if entry is None:
            return False
        return entry.checked >= (began if fresh else began - RECHECK)

    def _look(self, keys: Sequence[str], trouble: StoreError | None) -> Look:
        now = self._clock.now()
        look = Look([], trouble)
        for key in keys:
            entry = self._entries.get(key)
            if entry is None or entry.ends <= now:
                look.records.append(None)
                continue
            self._entries.used(key)
            look.lost |= entry.lost
            look.records.append(entry.record)
        return look

    async def _fill(self, keys: list[str]) -> StoreError | None:
        """Read `keys` into the cache, sharing reads under way; the trouble if there was any."""
        if self._resting():
            return self._trouble
        shared = [self._reads[key] for key in keys if key in self._reads]
        own = [key for key in keys if key not in self._reads]
        trouble = await self._read_own(own) if own else None
        for read in shared:
            if not read.done():
                # Ends in every case; what its reader could not fill is read in the next round.
                await asyncio.wait([read])
        return trouble or (self._trouble if shared and self._resting() else None)

    def _resting(self) -> bool:
        return self._clock.monotonic() < self._store_rests_until

    async def _read_own(self, keys: list[str]) -> StoreError | None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for key in keys:
            self._reads[key] = done
        try:
            found = await self._store.read(keys)
        except StoreError as error:
            self._trouble = error
            self._store_rests_until = self._clock.monotonic() + STORE_REST
            self._on_trouble(trouble_of(error))
            return error
        else:
            for key, sealed in zip(keys, found, strict=True):
                # Announced, or a gap, while it was being read: this answer may be the old one.
                if self._reads.get(key) is done:
                    self._keep(key, sealed)
            return None
        finally:
            for key in keys:
                if self._reads.get(key) is done:
                    del self._reads[key]
            done.set_result(None)

    def _keep(self, key: str, sealed: bytes | None) -> None:
        held = self._entries.get(key)
        entry = held if held is not None and held.sealed == sealed else self._open(key, sealed)
        if held is not None and held.record is not None and held.ends > self._clock.now():
            if entry.record is None:
                held.lost, held.checked = True, self._clock.monotonic()
                return
            if entry.order < held.order:
                entry = held  # an older record that somebody put back
        self._entries.keep(key, entry, checked=self._clock.monotonic())

    def _open(self, key: str, sealed: bytes | None) -> Entry:
        absent = Entry(sealed=None, record=None, order=0, ends=FOREVER)
        if sealed is None:
            return absent
        kind, record = record_type(key)
        try:
            opened, body = self._unsealer.unseal(sealed, record, kind=kind, key=key)
        except InvalidSignature:
            self._on_bad_signature(key)
            return absent
        return Entry(sealed=sealed, record=opened, order=body.order, ends=body.ends)
