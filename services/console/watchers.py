"""Those who watch: what is told to all of them, and who does not keep up."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from shared.domain.errors import ImagegateError

MAX_WATCHERS = 64
MAX_WAITING = 32
"""Events that may wait for one watcher; who is further behind is let go."""

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent: proxies close what is silent."""

AGAIN = b"retry: 2000\n\n"
STILL_HERE = b": alive\n\n"


class TooManyWatchers(ImagegateError):
    """MAX_WATCHERS watch already."""


def event(name: str, data: object) -> bytes:
    """One server-sent event; the data is one line of JSON."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class Watcher:
    """One who watches: the events to send, in order."""

    def __init__(self, first: Iterable[bytes], *, keep_alive: float = KEEP_ALIVE) -> None:
        self._waiting = deque((AGAIN, *first))
        self._keep_alive = keep_alive
        self._stirred = asyncio.Event()
        self._ended = False

    def tell(self, what: bytes) -> None:
        """Have it sent; who has too much waiting already is let go."""
        if len(self._waiting) >= MAX_WAITING:
            self.end()
            return
        self._waiting.append(what)
        self._stirred.set()

    def end(self) -> None:
        """Nothing more is sent, nor what waits."""
        self._ended = True
        self._waiting.clear()
        self._stirred.set()

    async def next(self) -> bytes | None:
        """What to send next, at the latest after `keep_alive` seconds; None at the end."""
        if not self._waiting and not self._ended:
            self._stirred.clear()
            try:
                async with asyncio.timeout(self._keep_alive):
                    await self._stirred.wait()
            except TimeoutError:
                return STILL_HERE
        return None if self._ended else self._waiting.popleft()


class Watchers:
    """All who watch; `on_change` is told how many they are."""

    def __init__(self, *, on_change: Callable[[int], None]) -> None:
        self._watching: set[Watcher] = set()
        self._on_change = on_change
        self._ended = False

    def __len__(self) -> int:
        return len(self._watching)

    @contextmanager
    def one_more(self, first: Iterable[bytes]) -> Iterator[Watcher]:
        """A watcher who is told `first` and then all that is told; raises TooManyWatchers."""
        if len(self._watching) >= MAX_WATCHERS:
            raise TooManyWatchers(f"{MAX_WATCHERS} watch this console already: try again later")
        watcher = Watcher(first)
        if self._ended:
            watcher.end()
        self._watching.add(watcher)
        self._on_change(len(self._watching))
        try:
            yield watcher
        finally:
            self._watching.discard(watcher)
            self._on_change(len(self._watching))

    def tell(self, what: bytes) -> None:
        """Have it sent to all."""
        for watcher in self._watching:
            watcher.tell(what)

    def end(self) -> None:
        """For all of them, and for whoever comes yet."""
        self._ended = True
        for watcher in self._watching:
            watcher.end()
