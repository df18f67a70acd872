"""The scanner's own sync: at its start, then every few hours, as long as it runs.

Nothing that goes wrong here stops the server: the feed that is there counts on, its age is told by
health, metrics and findings, and the log says what to do.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from services.scanner.feeds.state import FeedBusy, FeedError
from services.scanner.feeds.syncing import Synced, Unwatched, Watching

log = logging.getLogger(__name__)

SOONER = 3600.0
"""Seconds until the next one after one that failed, where the usual time is longer."""
SPREAD = 0.1
"""The part of the time by which each is earlier or later."""


class Syncs(Protocol):
    """`syncing.Syncing.sync` of its ecosystems."""

    def __call__(self, *, watching: Watching) -> Awaitable[tuple[Synced, ...]]: ...


Noted = Callable[[str, str], None]
"""Told of each ecosystem and what became of it: a `syncing.Outcome`."""


class RegularSync:
    """`every`: seconds; `luck`: 0.0 to 1.0, each time another."""

    def __init__(
        self,
        *,
        sync: Syncs,
        every: float,
        noted: Noted,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._sync = sync
        self._every = every
        self._noted = noted
        self._sleep = sleep
        self._luck = luck

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            good = await self._once()
            usual = self._every if good else min(self._every, SOONER)
            await self._sleep(usual * (1 - SPREAD + 2 * SPREAD * self._luck()))

    async def _once(self) -> bool:
        """Whether every ecosystem is up to date now."""
        try:
            synced = await self._sync(watching=_Each(self._tell))
        except FeedBusy as error:
            log.info("feed is synced by somebody else", extra={"reason": str(error)})
            return False
        except FeedError as error:
            log.warning("feed sync failed", extra={"reason": str(error)})
            self._noted("all", "failed")
            return False
        except Exception:
            log.exception("feed sync failed: the feed stays as it is")
            self._noted("all", "failed")
            return False
        return all(one.outcome != "failed" for one in synced)

    def _tell(self, one: Synced) -> None:
        self._noted(one.ecosystem, one.outcome)
        about = {"ecosystem": one.ecosystem, "as_of": one.as_of}
        match one.outcome:
            case "failed":
                log.warning("feed sync failed", extra={**about, "reason": one.reason})
            case "imported":
                log.info("feed synced", extra={**about, "records": one.records, "bad": one.bad})
            case "unchanged":
                log.debug("feed unchanged", extra={**about, "reason": one.reason})


class _Each(Unwatched):
    """Hears of each ecosystem as it ends: all of them take many minutes."""

    def __init__(self, tell: Callable[[Synced], None]) -> None:
        self._tell = tell

    def over(self, synced: Synced) -> None:
        self._tell(synced)
