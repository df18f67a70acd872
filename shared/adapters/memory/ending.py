"""Things that end: a bounded dictionary whose entries are gone after their time."""

import heapq
from typing import Generic, TypeVar

from shared.ports.clock import Clock

Value = TypeVar("Value")

SLACK = 64


class Ending(Generic[Value]):
    """Entries by key, each until its end (ms); the ones that end soonest go when it is full."""

    def __init__(self, *, clock: Clock, max_entries: int) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._entries: dict[str, tuple[int, Value]] = {}
        self._by_end: list[tuple[int, str]] = []

    def __len__(self) -> int:
        self._forget_ended()
        return len(self._entries)

    def get(self, key: str) -> Value | None:
        """The value of `key` unless it has ended."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > self._clock.now() else None

    def set(self, key: str, value: Value, *, ends: int) -> None:
        """Keep `value` until `ends` (ms)."""
        self._forget_ended()
        self._entries[key] = (ends, value)
        heapq.heappush(self._by_end, (ends, key))
        while len(self._entries) > self._max_entries:
            self._forget_next()
        if len(self._by_end) > 2 * len(self._entries) + SLACK:
            self._by_end = [(ends, key) for key, (ends, _) in self._entries.items()]
            heapq.heapify(self._by_end)

    def pop(self, key: str) -> None:
        """Forget `key`."""
        self._entries.pop(key, None)

    def items(self) -> list[tuple[str, Value]]:
        """What has not ended, by key."""
        self._forget_ended()
        return [(key, value) for key, (_, value) in self._entries.items()]

    def _forget_ended(self) -> None:
        now = self._clock.now()
        while self._by_end and self._by_end[0][0] <= now:
            self._forget_next()

    def _forget_next(self) -> None:
        """Drop the entry that ends first; a key that was set again since then stays."""
        ends, key = heapq.heappop(self._by_end)
        entry = self._entries.get(key)
        if entry is not None and entry[0] == ends:
            del self._entries[key]
