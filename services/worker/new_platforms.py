"""Platforms that are new in the cluster: once all that is in use has been judged for one, or was
tried to be, it is written down that it counts."""

import asyncio
import logging
from contextlib import suppress

from services.worker.in_use import Surveyed
from services.worker.ledger import Ledger
from shared.domain.errors import StoreError, TransientFailure
from shared.domain.platforms import NEW_FOR
from shared.ports.clock import Clock

log = logging.getLogger(__name__)


class NewPlatforms:
    """Told of each survey; writes until it is cancelled."""

    def __init__(self, *, ledger: Ledger, clock: Clock, cluster: str = "") -> None:
        """`cluster`: its name among those of one store."""
        self._ledger = ledger
        self._clock = clock
        self._cluster = cluster
        self._found: Surveyed | None = None
        self._heard = asyncio.Event()

    def surveyed(self, found: Surveyed) -> None:
        """All that is in use was looked at."""
        self._found = found
        self._heard.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._heard.wait()
            self._heard.clear()
            # The next survey finds the same, should the store be away.
            with suppress(StoreError, TransientFailure):
                await self.once()

    async def once(self) -> None:
        """Write down what the last survey showed. Raises StoreError and TransientFailure."""
        found = self._found
        record = await self._ledger.platforms(self._cluster) if found and found.new_asked else None
        if found is None or record is None:
            return
        done = [
            each.platform
            for each in record.new
            if found.new.get(each.platform) == 0 or found.at >= each.since + NEW_FOR
        ]
        if done:
            await self._ledger.write_platforms(record.judged(done, self._clock.now()))
            log.warning(
                "what is in use has been judged for a platform that was new: it counts from now on",
                extra={"platforms": ", ".join(done)},
            )
