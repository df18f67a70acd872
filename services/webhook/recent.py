"""What was answered in the last moments, ready for the next answer.

A note, and a decision, is good as long as every near-cache entry it was read from is: a review
of known images then costs a few comparisons instead of the whole stair.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec

from services.webhook.entries import RECHECK, Entry
from services.webhook.note import Note
from shared.domain.decision import Decision
from shared.domain.scope import RuleBook
from shared.ports.clock import Clock

MAX_RECENT = 20_000
MAX_BYTES = 32 * 2**20
"""Of near-cache entries, which live as long as something here rests on them."""

Thing = TypeVar("Thing", tuple[Note, ...], Decision)
Key = TypeVar("Key")


class Resting(msgspec.Struct, Generic[Thing], frozen=True):
    """Something, and what it rests on."""

    thing: Thing
    until: int
    """When time alone changes it (ms)."""
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes that it keeps alive; the same ever after."""
        return sum(entry.size for entry in self.entries)


class Recent(Generic[Key, Thing]):
    """Things by key, under the book they were made under; bounded, the oldest go first."""

    def __init__(
        self, *, clock: Clock, max_things: int = MAX_RECENT, max_bytes: int = MAX_BYTES
    ) -> None:
        self._clock = clock
        self._max_things = max_things
        self._max_bytes = max_bytes
        self._bytes = 0
        # Of a plain dictionary the first key is found ever more slowly, the more went before.
        self._things: OrderedDict[Key, Resting[Thing]] = OrderedDict()
        self._book: RuleBook | None = None

    def get(self, key: Key, *, book: RuleBook) -> Resting[Thing] | None:
        """What is kept of `key`, if nothing it rests on has changed."""
        resting = self._things.get(key)
        if resting is None or book is not self._book or resting.until <= self._clock.now():
            return None
        since = self._clock.monotonic() - RECHECK
        for entry in resting.entries:
            if entry.checked < since or entry.lost:
                return None
        return resting

    def keep(self, key: Key, resting: Resting[Thing], *, book: RuleBook) -> None:
        """Keep it for the next reviews, unless its time is over already."""
        if book is not self._book:
            self._things.clear()
            self._bytes = 0
            self._book = book
        self._forget(key)
        if resting.until <= self._clock.now():
            return
        self._things[key] = resting
        self._bytes += resting.size
        while len(self._things) > self._max_things or self._bytes > self._max_bytes:
            self._forget(next(iter(self._things)))

    def _forget(self, key: Key) -> None:
        resting = self._things.pop(key, None)
        if resting is not None:
            self._bytes -= resting.size
