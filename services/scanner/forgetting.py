"""Keeping and forgetting: images that nobody asked about for long go, and the file shrinks.

What waits for its analysis or is being analysed stays, however old it is. What was used last goes
last. An image that was forgotten is analysed again when it is submitted again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from services.scanner.metrics import Removed, ScannerMetrics
from services.scanner.store import images, size
from services.scanner.store.database import Database, StoreFailed
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

EVERY = 600.0
BATCH = 50
"""Images in one transaction: checks wait meanwhile."""
DAY = 86_400_000


class Keep(msgspec.Struct, frozen=True):
    """How long and how much is kept."""

    days: float
    """Without a question; 0: for ever."""
    most: int
    """Bytes of the database."""


class Forgetting:
    """Removes what is too old, then what is too much."""

    def __init__(
        self, *, database: Database, keep: Keep, metrics: ScannerMetrics, clock: Clock
    ) -> None:
        self._database = database
        self._keep = keep
        self._metrics = metrics
        self._clock = clock

    async def run(self, *, every: float = EVERY) -> None:
        """For ever."""
        while True:
            try:
                await self.once()
            except StoreFailed as error:
                log.error("nothing can be forgotten: %s", error)
            except Exception:
                log.exception("nothing could be forgotten; it is tried again")
            await asyncio.sleep(every)

    async def once(self) -> None:
        """All that is to go now. Raises StoreFailed."""
        old = await self._too_old() if self._keep.days else 0
        much = await self._too_much()
        more = True
        while more:
            more = await self._database.tidy(size.give_back)
        await self._database.tidy(size.empty_log)
        if old or much:
            log.info("images forgotten", extra={"unused": old, "for_room": much})

    async def _too_old(self) -> int:
        before = self._clock.now() - int(self._keep.days * DAY)
        return await self._remove(Removed.AGE, lambda: self._batch(before=before))

    async def _too_much(self) -> int:
        async def batch() -> int:
            if (await self._database.run(size.measure)).used <= self._keep.most:
                return 0
            return await self._batch(before=None)

        removed = await self._remove(Removed.SIZE, batch)
        used = (await self._database.run(size.measure)).used
        if used > self._keep.most:
            log.warning(
                "the database takes more than IMAGEGATE_SCANNER_MAX_STORE, and nothing in it may "
                "go: all that is left waits for its analysis",
                extra={"bytes": used, "most": self._keep.most},
            )
        return removed

    async def _remove(self, reason: Removed, batch: Callable[[], Awaitable[int]]) -> int:
        removed = 0
        while gone := await batch():
            removed += gone
            self._metrics.removed(reason, gone)
        return removed

    async def _batch(self, *, before: int | None) -> int:
        return await self._database.run(images.forget_unused, before=before, limit=BATCH)
