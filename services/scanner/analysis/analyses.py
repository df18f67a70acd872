"""The analyses' queue: the table of images is the queue, a few workers take from it.

What was waiting or being analysed when a process ended is analysed again by the next one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.scanner.analysis.analyst import Analyst
from services.scanner.records import AnalysisFailed, Image
from services.scanner.store import images
from services.scanner.store.database import Database
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

MAX_REASON = 1_000
_LOOK_AGAIN = 5.0


class Analyses:
    """Works the queue off, `count` images at a time."""

    def __init__(self, *, database: Database, analyst: Analyst, clock: Clock) -> None:
        self._database = database
        self._analyst = analyst
        self._clock = clock
        self._waiting = asyncio.Event()

    def wake(self) -> None:
        """Something was queued."""
        self._waiting.set()

    @asynccontextmanager
    async def working(self, count: int) -> AsyncIterator[None]:
        """Work from here to the end of the block; what is in flight then stays queued."""
        await self._analyst.clear()
        waiting = await self._database.run(images.requeue)
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
                image = await self._database.run(images.claim, now=self._clock.now())
                if image is not None:
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
        started = self._clock.monotonic()
        try:
            facts = await self._analyst.analyse(image)
        except AnalysisFailed as error:
            await self._fail(image, str(error))
        except Exception as error:
            log.exception("analysis broke off", extra={"digest": image.digest})
            await self._fail(image, f"the scanner failed: {type(error).__name__}")
        else:
            text = msgspec.json.encode(facts)
            await self._database.run(images.finish, image, facts=text, now=self._clock.now())
            log.info(
                "analysed",
                extra={
                    "digest": image.digest,
                    "packages": len(facts.packages),
                    "seconds": round(self._clock.monotonic() - started, 2),
                },
            )

    async def _fail(self, image: Image, reason: str) -> None:
        log.warning("analysis failed", extra={"digest": image.digest, "reason": reason})
        await self._database.run(
            images.fail, image, reason=reason[:MAX_REASON], now=self._clock.now()
        )
