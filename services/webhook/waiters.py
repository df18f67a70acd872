"""Reviews that wait for a record to change."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Waiters:
    """Wakes whoever waits on a key; a gap in the announcements wakes all."""

    def __init__(self) -> None:
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def on(self, keys: Sequence[str]) -> Iterator[asyncio.Event]:
        """An event that is set when any of `keys` changes. Enter it before the last look."""
        event = asyncio.Event()
        for key in keys:
            self._events[key].add(event)
        try:
            yield event
        finally:
            for key in keys:
                self._events[key].discard(event)
                if not self._events[key]:
                    del self._events[key]

    def wake(self, key: str | None) -> None:
        """`key` changed; None: anything may have."""
        keys = list(self._events) if key is None else [key]
        for woken in keys:
            for event in self._events.get(woken, ()):
                event.set()
