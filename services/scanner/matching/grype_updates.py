"""Grype's own updates of its database, at an interval: only where that is switched on.

Grype replaces the database when the new one is whole; what fails leaves the old one.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from services.scanner.matching.grype_program import GrypeProgram
from services.scanner.matching.port import MatchingFailed

log = logging.getLogger(__name__)

_SPREAD = 0.1
"""A tenth more or less, so that many scanners do not come together."""


class GrypeUpdates:
    """Has Grype look for a newer database, at once and every `seconds`."""

    def __init__(
        self,
        *,
        grype: GrypeProgram,
        seconds: float,
        environ: Mapping[str, str],
        updated: Callable[[str], None],
    ) -> None:
        """`environ` is what it may know of proxies and mirrors; `updated` is told how each look
        ended: done, failed."""
        self._grype = grype
        self._seconds = seconds
        self._environ = environ
        self._updated = updated

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """From here to the end of the block."""
        task = asyncio.create_task(self._run(), name="update Grype's database")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self.update()
            await asyncio.sleep(self._seconds * random.uniform(1 - _SPREAD, 1 + _SPREAD))

    async def update(self) -> bool:
        """Once; whether it went well. Failures are logged and counted."""
        try:
            await self._grype.update(self._environ)
        except (MatchingFailed, OSError) as error:
            log.warning("Grype's database could not be updated", extra={"reason": str(error)})
            self._updated("failed")
            return False
        log.info("Grype looked for a newer database")
        self._updated("done")
        return True
