"""Who knocks with a wrong token waits; who knocks with many is not listened to."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from services.console.session import Sessions
from shared.domain.errors import ImagegateError
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

SLOWED = 1.0
"""Seconds until a wrong token is answered."""

MAX_SLOWED = 8
"""Wrong tokens from one address that are being slowed; others from there are not looked at."""

SAID_EVERY = 60.0


class TooManyTries(ImagegateError):
    """MAX_SLOWED wrong tokens of this address are being answered."""


class Door:
    """Asks for the token. `on_refused` counts."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        clock: Clock,
        on_refused: Callable[[], None],
        slowed: float = SLOWED,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._on_refused = on_refused
        self._slow = slowed
        self._slowed: Counter[str] = Counter()
        self._unsaid = 0
        self._said = -SAID_EVERY

    async def opens(self, token: str, *, caller: str) -> bool:
        """Whether it is the token; a wrong one takes a while. Raises TooManyTries."""
        if self._slowed[caller] >= MAX_SLOWED:
            self._on_refused()
            raise TooManyTries(f"too many wrong tokens came from {caller}: try again in a second")
        if self._sessions.is_token(token):
            return True
        self._refused(caller)
        self._slowed[caller] += 1
        try:
            await asyncio.sleep(self._slow)
        finally:
            self._slowed -= Counter((caller,))
        return False

    def _refused(self, caller: str) -> None:
        self._on_refused()
        self._unsaid += 1
        now = self._clock.monotonic()
        if now - self._said >= SAID_EVERY:
            log.warning("wrong token", extra={"from": caller, "times": self._unsaid})
            self._unsaid, self._said = 0, now
