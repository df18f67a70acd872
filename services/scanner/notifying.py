"""Notices on their way to the intake: one after another, none lost before it is a day old."""

import asyncio
import logging
from typing import Protocol

from services.scanner.metrics import ScannerMetrics, Told
from services.scanner.store import outbox
from services.scanner.store.database import Database, StoreFailed
from services.scanner.store.outbox import Outgoing
from shared.domain.errors import ImagegateError
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

PACE = 0.25
"""Seconds between two: the intake has four a second judged anew, and lets the rest of more lie."""
LOOK_AGAIN = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
"""Seconds after a failure, doubled each time."""
LIFE = 86_400_000
"""ms: by then whatever it is about was judged anew in its turn."""


class NotTaken(ImagegateError):
    """A notice that was not taken; `final`: it never will be, however often it is sent."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class NoticePost(Protocol):
    """Whoever takes notices."""

    async def send(self, body: bytes) -> None:
        """Returns when it was taken. Raises NotTaken."""


class Notifying:
    """Sends what waits in the database."""

    def __init__(
        self,
        *,
        database: Database,
        post: NoticePost,
        metrics: ScannerMetrics,
        clock: Clock,
        pace: float = PACE,
    ) -> None:
        self._database = database
        self._post = post
        self._metrics = metrics
        self._clock = clock
        self._pace = pace

    async def run(self, *, look_again: float = LOOK_AGAIN) -> None:
        """For ever."""
        failures = 0
        while True:
            pause = self._pace
            try:
                notice = await self._next()
                if notice is None:
                    pause = look_again
                failures = 0 if notice is None or await self._try(notice) else failures + 1
            except StoreFailed as error:
                log.error("notices cannot be sent: %s", error)
                failures += 1
            except Exception:
                log.exception("notices cannot be sent; it is tried again")
                failures += 1
            if failures:
                # Bounded before it is computed: an intake may be away for weeks.
                pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _next(self) -> Outgoing | None:
        forgotten = await self._database.run(outbox.forget, before=self._clock.now() - LIFE)
        if forgotten:
            self._metrics.told("any", Told.DROPPED, forgotten)
            log.warning("notices were given up: nobody took them", extra={"notices": forgotten})
        return await self._database.run(outbox.first)

    async def _try(self, notice: Outgoing) -> bool:
        """Whether it is dealt with."""
        try:
            await self._post.send(notice.body)
            outcome = Told.TAKEN
        except NotTaken as error:
            extra = {"kind": notice.kind, "reason": str(error)}
            if not error.final:
                log.warning("notice not taken, it is sent again", extra=extra)
                self._metrics.told(notice.kind, Told.LATER)
                return False
            log.error("notice refused for good", extra=extra)
            outcome = Told.DROPPED
        self._metrics.told(notice.kind, outcome)
        await self._database.run(outbox.remove, notice)
        return True
