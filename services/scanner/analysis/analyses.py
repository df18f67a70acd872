"""The analyses' queue: the table of images is the queue, a few workers take from it.

What was waiting or being analysed when a process ended is analysed again by the next one.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from services.scanner.analysis.analyst import Analyst
from services.scanner.announcing import Announcements
from services.scanner.metrics import Analysed, ScannerMetrics
from services.scanner.records import AnalysisFailed, AnalysisStatus, Image, ImageFacts
from services.scanner.store import queue
from services.scanner.store.database import Database, StoreFailed
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

MAX_REASON = 1_000
_LOOK_AGAIN = 5.0


class Analyses:
    """Works the queue off, `count` images at a time."""

    def __init__(
        self,
        *,
        database: Database,
        analyst: Analyst,
        announcements: Announcements,
        metrics: ScannerMetrics,
        clock: Clock,
    ) -> None:
        self._database = database
        self._analyst = analyst
        self._announcements = announcements
        self._metrics = metrics
        self._clock = clock
        self._waiting = asyncio.Event()

    def wake(self) -> None:
        """Something was queued."""
        self._waiting.set()

    @asynccontextmanager
    async def working(self, count: int) -> AsyncIterator[None]:
        """Work from here to the end of the block; what is in flight then stays queued."""
        await self._analyst.clear()
        waiting = await self._database.run(queue.requeue)
        if waiting:
            log.info("analyses resumed", extra={"waiting": waiting})
        workers = [
            asyncio.create_task(self._work(), name=f"analysis {number}") for number in range(count)
        ]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            self._waiting.clear()
            try:
                image = await self._database.run(queue.claim, now=self._clock.now())
                if image is not None:
                    self._waiting.set()  # another may wait; we cleared what it was told by
                    await self._analyse(image)
                    continue
            except Exception:
                log.exception("the analyses' queue failed; looking again")
            # Not only the event: a failure above must not leave the queue asleep.
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._waiting.wait()
            except TimeoutError:
                continue

    async def _analyse(self, image: Image) -> None:
        began = self._clock.monotonic()
        facts, reason = await self._outcome(image)
        counts = await self._write_down(image, facts, reason)
        seconds = self._clock.monotonic() - began
        ended = Analysed.FAILED if facts is None else Analysed.DONE
        self._metrics.analysis(ended if counts else Analysed.OUTDATED, seconds)
        said: dict[str, Any] = {"digest": image.digest, "seconds": round(seconds, 2)}
        if facts is None:
            log.warning("analysis failed", extra=said | {"reason": reason})
        else:
            log.info("analysed", extra=said | {"packages": len(facts.packages)})

    async def _outcome(self, image: Image) -> tuple[ImageFacts | None, str]:
        """The facts, or why there are none."""
        try:
            return await self._analyst.analyse(image), ""
        except AnalysisFailed as error:
            return None, str(error)
        except Exception as error:
            log.exception("analysis broke off", extra={"digest": image.digest})
            return None, f"the scanner failed: {type(error).__name__}"

    async def _write_down(self, image: Image, facts: ImageFacts | None, reason: str) -> bool:
        """Whether it counts. Until it is written: an image must not be left as being analysed
        because the disk was full for a moment."""
        text = None if facts is None else msgspec.json.encode(facts)
        while True:
            try:
                return await self._database.run(
                    self._end, image, facts=text, reason=reason[:MAX_REASON], now=self._clock.now()
                )
            except StoreFailed as error:
                log.error("the end of an analysis cannot be written: %s", error)
                await asyncio.sleep(_LOOK_AGAIN)

    def _end(
        self,
        connection: sqlite3.Connection,
        image: Image,
        *,
        facts: bytes | None,
        reason: str,
        now: int,
    ) -> bool:
        if facts is None:
            counts = queue.fail(connection, image, reason=reason, now=now)
        else:
            counts = queue.finish(connection, image, facts=facts, now=now)
        if counts:
            status = AnalysisStatus.FAILED if facts is None else AnalysisStatus.ANALYZED
            self._announcements.analysed(connection, image, status=status, now=now)
        return counts
