"""The polling budget: a token bucket, so that Anchore is asked at a bounded rate."""

import asyncio

from shared.ports.clock import Clock


class PollBudget:
    """`rate` tokens a second, of which a second's worth is saved up, at least one whole token."""

    def __init__(self, *, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate
        self._at = clock.monotonic()

    async def take(self, *, within: float) -> bool:
        """Take a token, waiting for it at most `within` seconds; False: not in that time."""
        now = self._clock.monotonic()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        wait = (1 - self._tokens) / self._rate
        if wait > within:
            return False
        self._tokens -= 1
        if wait > 0:
            await asyncio.sleep(wait)
        return True
