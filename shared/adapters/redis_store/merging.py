"""Merged reads: concurrent look-ups share one MGET on one connection.

39 000 reviews a second against 12 000 with a pool (docs/design/broker-facts.md 4).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from shared.domain.errors import StoreError, StoreUnreachable

log = logging.getLogger(__name__)

MAX_KEYS = 256
"""Keys of one MGET: about 0.4 MB of verdicts."""

CLOSED = "cannot read records: the link to Redis was closed"

Fetch = Callable[[list[bytes]], Awaitable[list[bytes | None]]]


class _Read(msgspec.Struct, frozen=True, eq=False):
    keys: Sequence[bytes]
    answer: asyncio.Future[dict[bytes, bytes | None]]


class MergedReads:
    """Gathers the reads of one turn of the loop; while one MGET is under way, the next grows.

    `fetch` gets at most `MAX_KEYS` different keys and raises StoreError. It is never called
    twice at once, and not cancelled by a caller that goes away.
    """

    def __init__(self, *, fetch: Fetch) -> None:
        self._fetch = fetch
        self._waiting: list[_Read] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The records of `keys`, in their order; raises StoreError."""
        if self._closed:
            raise StoreUnreachable(CLOSED)
        if not keys:
            return []
        read = _Read(keys, asyncio.get_running_loop().create_future())
        self._waiting.append(read)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="redis: merged reads")
        found = await read.answer
        return [found[key] for key in keys]

    async def aclose(self) -> None:
        """Read no more; whoever waits is told."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._fail(self._take_all(), StoreUnreachable(CLOSED))

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._round(self._take())
        finally:
            self._task = None

    async def _round(self, reads: list[_Read]) -> None:
        try:
            found = await self._fetch_all(dict.fromkeys(key for read in reads for key in read.keys))
        except StoreUnreachable as error:
            # Who came meanwhile would only wait for the same silence.
            self._fail([*reads, *self._take_all()], error)
        except StoreError as error:
            self._fail(reads, error)
        except asyncio.CancelledError:
            self._fail(reads, StoreUnreachable(CLOSED))
            raise
        except Exception as error:
            # Whatever it was, nobody may wait for ever.
            log.exception("reading records failed")
            self._fail(reads, StoreError(f"cannot read records: {error!r}"))
        else:
            for read in reads:
                if not read.answer.done():
                    read.answer.set_result(found)

    async def _fetch_all(self, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
        names = list(keys)
        found: dict[bytes, bytes | None] = {}
        for start in range(0, len(names), MAX_KEYS):
            some = names[start : start + MAX_KEYS]
            found.update(zip(some, await self._fetch(some), strict=True))
        return found

    def _take(self) -> list[_Read]:
        """As many reads as fit into one MGET, and at least one; those whose caller went, never."""
        waiting = [read for read in self._waiting if not read.answer.done()]
        taken = size = 0
        for read in waiting:
            size += len(read.keys)
            if taken and size > MAX_KEYS:
                break
            taken += 1
        self._waiting = waiting[taken:]
        return waiting[:taken]

    def _take_all(self) -> list[_Read]:
        reads, self._waiting = self._waiting, []
        return reads

    def _fail(self, reads: list[_Read], error: StoreError) -> None:
        """Each caller gets an error of its own: one that is shared would gather tracebacks."""
        for read in reads:
            if not read.answer.done():
                own = type(error)(*error.args)
                own.__cause__ = error.__cause__
                read.answer.set_exception(own)
