"""How the scanner stands, looked at every few seconds for whoever scrapes its metrics."""

import asyncio
import logging
import sqlite3

import msgspec

from services.scanner.matching.port import VulnerabilityData
from services.scanner.metrics import Measured, ScannerMetrics
from services.scanner.store import images, outbox, queue, size
from services.scanner.store.database import Database
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

EVERY = 10.0


class Measuring:
    """Asks the database and the data."""

    def __init__(
        self,
        *,
        database: Database,
        data: VulnerabilityData,
        metrics: ScannerMetrics,
        clock: Clock,
    ) -> None:
        self._database = database
        self._data = data
        self._metrics = metrics
        self._clock = clock

    async def run(self, *, every: float = EVERY) -> None:
        """For ever."""
        while True:
            try:
                self._metrics.measured(await self.once())
            except Exception as error:
                log.warning("the scanner's state could not be measured: %s", error)
            await asyncio.sleep(every)

    async def once(self) -> Measured:
        """How it stands now. Raises StoreFailed."""
        state = await self._data.state()
        now = self._clock.now()
        stored = await self._database.run(_stored, now=now)
        return msgspec.structs.replace(
            stored,
            feed_seconds=None if state.as_of is None else max(0, now - state.as_of) / 1000,
            feed_records=sum(group.records for group in state.groups),
            feed_usable=not state.problem and state.as_of is not None,
        )


def _stored(connection: sqlite3.Connection, *, now: int) -> Measured:
    oldest = queue.oldest_wait(connection)
    return Measured(
        images=images.counts(connection),
        oldest_seconds=None if oldest is None else max(0, now - oldest) / 1000,
        database_bytes=size.measure(connection).file,
        notices=outbox.waiting(connection),
    )
