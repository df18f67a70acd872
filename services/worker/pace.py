"""Doing things evenly, so many a second: nothing is saved up, so that there is no burst."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.ports.clock import Clock


class Pace:
    """One thing after another."""

    def __init__(
        self, *, clock: Clock, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._next = 0.0

    async def keep(self, *, rate: float, cost: float = 1.0) -> None:
        """Wait for one's turn; the next one comes `cost / rate` seconds later."""
        now = self._clock.monotonic()
        turn = max(now, self._next)
        self._next = turn + cost / rate
        if turn > now:
            await self._pause(turn - now)
