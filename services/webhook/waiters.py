"""Those who wait for a record to change."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

MAX_WAITING = 200


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


class Room:
    """Where at most so many wait at once; whoever does not find a place goes on without."""

    def __init__(
        self,
        *,
        places: int = MAX_WAITING,
        on_waiting: Callable[[int], None] = lambda waiting: None,
    ) -> None:
        """`on_waiting` is told how many wait, whenever that changes."""
        self._places = places
        self._waiting: Counter[object] = Counter()
        self._on_waiting = on_waiting

    @property
    def full(self) -> bool:
        """Whether nobody else may wait now."""
        return len(self._waiting) >= self._places

    def has_place(self, who: object) -> bool:
        """Whether `who` may wait now: who waits for one thing may wait for others as well."""
        return who in self._waiting or not self.full

    async def wait(
        self, changed: asyncio.Event, seconds: float, *, who: object | None = None
    ) -> bool:
        """Whether it changed in time. `who` takes one place, whatever else it waits for."""
        who = changed if who is None else who
        self._waiting[who] += 1
        self._on_waiting(len(self._waiting))
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]
            self._on_waiting(len(self._waiting))
