"""The polling budget: a token bucket, so that Anchore is asked at a bounded rate."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from shared.ports.clock import Clock


class Poll(StrEnum):
    """What became of the wish to ask, for the metric."""

    CHECK = "check"
    QUICK = "quick"
    PUT_OFF = "put_off"
    """No token in time: nothing was asked."""


class PollBudget:
    """`rate` tokens a second, of which a second's worth is saved up, at least one whole token."""

    def __init__(
        self, *, rate: float, clock: Clock, on_poll: Callable[[Poll], None] = lambda poll: None
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._most = max(1.0, rate)
        self._tokens = rate
        self._at = clock.monotonic()
        self._on_poll = on_poll

    @property
    def spare(self) -> bool:
        """Whether a token more leaves half of what can be saved up to those who need it."""
        self._fill()
        return self._tokens - 1 >= self._most / 2

    def take_spare(self) -> bool:
        """Take a token for a quick look if it is to spare; never waits."""
        if not self.spare:
            return False
        self._tokens -= 1
        self._on_poll(Poll.QUICK)
        return True

    async def take(self, *, within: float) -> bool:
        """Take a token, waiting for it at most `within` seconds; False: not in that time."""
        self._fill()
        wait = (1 - self._tokens) / self._rate
        if wait > within:
            self._on_poll(Poll.PUT_OFF)
            return False
        self._tokens -= 1
        self._on_poll(Poll.CHECK)
        if wait > 0:
            await asyncio.sleep(wait)
        return True

    def _fill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
