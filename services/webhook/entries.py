"""What the near cache holds: of each key its verified record, or that it has none. Bounded.

That a key has no record is of use until it has to be asked for again, and to nobody later. Whoever
writes a pod can name such keys without end: they are held apart, so that they push no record out,
and in smaller number.
"""

from collections import OrderedDict
from collections.abc import Iterator

import msgspec

RECHECK = 5.0
"""Seconds in which an entry is taken at its word."""

NEVER = float("-inf")

OWN_SIZE = 256
"""Bytes that an entry takes beside its record, about."""

MAX_ABSENT = 4_096
"""About 2 MiB."""


class Entry:
    """What was read of one key; `record` is None for a key without a record.

    Good for an answer while `checked` is younger than `RECHECK`: it is moved into the past when
    the entry is doubted, replaced or forgotten, so that whoever holds it sees that too.
    """

    __slots__ = ("checked", "ends", "lost", "order", "record", "sealed", "size")

    def __init__(
        self, *, sealed: bytes | None, record: msgspec.Struct | None, order: int, ends: int
    ) -> None:
        self.sealed = sealed
        self.record = record
        self.order = order
        self.ends = ends
        self.checked = NEVER
        self.lost = False
        self.size = OWN_SIZE + 2 * len(sealed or b"")


class Entries:
    """Entries by key. Of records the ones go first that were not used for longest, of keys without
    one those that were checked first."""

    def __init__(self, *, max_entries: int, max_bytes: int, max_absent: int = MAX_ABSENT) -> None:
        """`max_entries` and `max_bytes` of records, `max_absent` keys without one."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_absent = max_absent
        self._records: OrderedDict[str, Entry] = OrderedDict()
        self._absent: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records) + len(self._absent)

    def __iter__(self) -> Iterator[str]:
        yield from self._records
        yield from self._absent

    @property
    def size(self) -> int:
        """What they take, about (bytes)."""
        return self._bytes + OWN_SIZE * len(self._absent)

    def get(self, key: str) -> Entry | None:
        """What is held of `key`, good or not."""
        return self._records.get(key) or self._absent.get(key)

    def used(self, key: str) -> None:
        """A record was of use: others go before it."""
        if key in self._records:
            self._records.move_to_end(key)

    def keep(self, key: str, entry: Entry, *, checked: float) -> None:
        """Hold `entry`, as the store has it now (monotonic seconds)."""
        self.forget(key)
        entry.checked, entry.lost = checked, False
        if entry.record is None:
            self._absent[key] = entry
            self._forget_absent(checked - RECHECK)
            return
        self._records[key] = entry
        self._bytes += entry.size
        while len(self._records) > self._max_entries or self._bytes > self._max_bytes:
            self.forget(next(iter(self._records)))

    def doubt(self, key: str) -> None:
        """The record of `key` has changed, or may have."""
        entry = self.get(key)
        if entry is not None and entry.record is None:
            self.forget(key)
        elif entry is not None:
            entry.checked = NEVER

    def forget(self, key: str) -> None:
        """Hold nothing of `key`."""
        entry = self._records.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
        else:
            entry = self._absent.pop(key, None)
        if entry is not None:
            entry.checked = NEVER

    def _forget_absent(self, since: float) -> None:
        """Those that are too many, and those that were checked before `since`."""
        while self._absent:
            key, entry = next(iter(self._absent.items()))
            if len(self._absent) <= self._max_absent and entry.checked >= since:
                return
            self.forget(key)
