"""Judgements of the last seconds, ready for the next answer.

A judgement is good as long as every near-cache entry it was read from is: a review of a known
image then costs a few comparisons instead of the whole stair.
"""

import msgspec

from services.webhook.answers import Note, note
from services.webhook.knowledge import Glimpse
from services.webhook.near_cache import RECHECK, Entry
from shared.domain.rules import Rules
from shared.ports.clock import Clock

MAX_RECENT = 20_000


class _Ready(msgspec.Struct):
    note: Note
    until: int
    entries: list[Entry]
    rules: Rules


class Recent:
    """Notes by image as written and pull policy; bounded, the oldest go first."""

    def __init__(self, *, clock: Clock, max_entries: int = MAX_RECENT) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._ready: dict[tuple[str, bool], _Ready] = {}

    def get(self, key: tuple[str, bool], *, rules: Rules) -> Note | None:
        """The note of an image, if nothing it rests on has changed."""
        ready = self._ready.get(key)
        if ready is None or ready.rules is not rules or ready.until <= self._clock.now():
            return None
        since = self._clock.monotonic() - RECHECK
        for entry in ready.entries:
            if entry.checked < since or entry.lost:
                return None
        return ready.note

    def keep(self, key: tuple[str, bool], glimpse: Glimpse, *, rules: Rules) -> Note:
        """Note a judgement for the next reviews."""
        made = note(glimpse.judgement, self._clock.now())
        self._ready.pop(key, None)
        self._ready[key] = _Ready(made, glimpse.until, glimpse.entries, rules)
        if len(self._ready) > self._max_entries:
            del self._ready[next(iter(self._ready))]
        return made
