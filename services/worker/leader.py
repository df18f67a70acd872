"""One worker does for all what one should do: the leader, by a lease.

Work runs while this process holds the lease, which it renews three times in its life. Who cannot
renew it stops by itself well before it ends, so that two lead at no time; who is killed leaves it
to whoever asks first once it has ended. A process that stood still (SIGSTOP, a paused machine) may
go on for a moment beside its successor: whatever leaders do is safe to be done twice.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from shared.domain.errors import ImagegateError, StoreError, StoreMisconfigured
from shared.ports.clock import Clock
from shared.ports.leadership import Leadership

log = logging.getLogger(__name__)

LIFE = 9.0
"""Seconds after which somebody else leads where the leader died."""

RENEWALS = 3
"""Of a lease in its life: two may fail."""

MARGIN = 2.0
"""Seconds before its end in which the work is stopped that it stands for."""

GOODBYE = 0.5
"""Seconds that the end of a process may be late because of its lease."""

Work = Callable[[], Coroutine[Any, Any, None]]


class Leader:
    """Runs work while this process leads."""

    def __init__(
        self,
        *,
        leadership: Leadership,
        name: str,
        owner: str,
        clock: Clock,
        stopping: asyncio.Event,
        what: str = "reconciles, refreshes or watches policies",
        life: float = LIFE,
        margin: float = MARGIN,
    ) -> None:
        """`owner` is this process, by a name that no other has; `stopping`: it is to hand over;
        `what` nobody does while nobody can lead, in words that follow "nobody". `life` and
        `margin` in seconds."""
        self._leadership = leadership
        self._name = name
        self._owner = owner
        self._clock = clock
        self._stopping = stopping
        self._what = what
        self._life = life
        self._margin = margin
        self._until = 0.0
        self._unheard = False
        self.leads = False
        """Whether the work runs here."""

    async def run(self, work: Work) -> None:
        """Until the process stops. What `work` raises is raised; it must not end by itself."""
        try:
            while not self._stopping.is_set():
                if await self._renewed():
                    await self._lead(work)
                await self._pause(self._life / RENEWALS)
        finally:
            await self._leave()

    async def _lead(self, work: Work) -> None:
        """Have the work done until the lease is lost or the process stops."""
        log.info("this worker leads", extra={"lease": self._name})
        task = asyncio.create_task(work(), name=f"lead {self._name}")
        self.leads = True
        try:
            await self._keep(task)
            ended = task.done()
        finally:
            self.leads = False
            await self._end(task)
        if ended:
            task.result()
            raise ImagegateError(f"what the leader of {self._name} does has ended by itself")
        log.info("this worker leads no more", extra={"lease": self._name})

    async def _keep(self, task: "asyncio.Task[None]") -> None:
        """Renew the lease for as long as that can be done, and is wanted."""
        while True:
            left = self._until - self._margin - self._clock.monotonic()
            if left <= 0:
                return
            await self._pause(min(left, self._life / RENEWALS), task)
            if task.done() or self._stopping.is_set():
                return
            await self._renewed()

    async def _end(self, task: "asyncio.Task[None]") -> None:
        """Twice, since libraries swallow a cancellation that comes at the wrong moment."""
        for _ in range(2):
            task.cancel()
            await asyncio.wait([task], timeout=self._margin / 4)
        if not task.done():
            raise ImagegateError(f"what the leader of {self._name} does cannot be stopped")

    async def _renewed(self) -> bool:
        """Whether the lease is ours now, as the store says."""
        asked = self._clock.monotonic()
        try:
            # A store that hangs must not keep us from ending in time.
            async with asyncio.timeout(self._margin / 4):
                ours = await self._leadership.lead(
                    self._name, self._owner, life=round(1000 * self._life)
                )
        except (StoreError, TimeoutError) as error:
            self._unheard_because(error)
            return False
        self._unheard = False
        self._until = asked + self._life if ours else 0.0
        return ours

    async def _pause(self, seconds: float, *tasks: "asyncio.Task[None]") -> None:
        """Until then, or one of the tasks ends, or the process stops."""
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({stop, *tasks}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()

    async def _leave(self) -> None:
        """Another need not wait for the lease's end."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._leadership.leave(self._name, self._owner)

    def _unheard_because(self, error: Exception) -> None:
        """Said once an outage."""
        if not self._unheard:
            wrong = isinstance(error, StoreMisconfigured)
            log.log(
                logging.ERROR if wrong else logging.WARNING,
                f"the lease cannot be asked for; until it can, nobody {self._what}",
                extra={"lease": self._name, "why": str(error) or "no answer in time"},
            )
        self._unheard = True
