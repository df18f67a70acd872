"""A circuit breaker: a server that does not answer is left alone for a while.

Without one each step waits for its own timeouts while the server is down, and all of them fall on
it the moment it is back. Pure: knows no network, and time only by its clock
(docs/design/behaviour.md 5, docs/adr/0011).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum

from shared.domain.errors import TakenForDown
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

FAILURES = 5
"""Attempts one after another, of whatever calls: one whole call and a bit of the next."""
SHORTEST = 1.0
LONGEST = 10.0
"""Seconds that nobody asks. Longer would spare a dead server nothing, and keep one that is back
waiting."""


class BreakerState(StrEnum):
    """open: nobody asks. half_open: one call may, and its end decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Attempt:
    """One attempt that was let through; who makes it says how it ended, or nothing."""

    def __init__(self) -> None:
        self.failure = ""
        self.good = False

    def answered(self) -> None:
        """The server answered, whatever it said."""
        self.good = True

    def failed(self, how: str) -> None:
        """The server could not be reached, was silent, or failed by itself (5xx)."""
        self.failure = how


class Breaker:
    """The breaker of one server, named `what` in messages ("Anchore at http://...")."""

    def __init__(
        self,
        *,
        what: str,
        clock: Clock,
        failures: int = FAILURES,
        shortest: float = SHORTEST,
        longest: float = LONGEST,
    ) -> None:
        """Opens after `failures` in a row, for `shortest` seconds, then twice as long each time
        up to `longest`."""
        self._what = what
        self._clock = clock
        self._most = failures
        self._shortest, self._longest = shortest, longest
        self._pause = shortest
        self._failures = 0
        self._last = ""
        self._since: int | None = None
        self._until = 0.0
        self._trial: Attempt | None = None

    @property
    def state(self) -> BreakerState:
        """As the next call would find it."""
        if self._since is None:
            return BreakerState.CLOSED
        waits = self._clock.monotonic() < self._until
        return BreakerState.OPEN if waits else BreakerState.HALF_OPEN

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Make one attempt inside; raises TakenForDown instead of beginning it."""
        attempt = Attempt()
        if self._since is not None:
            if self.state is BreakerState.OPEN or self._trial is not None:
                raise self.refusal()
            self._trial = attempt
        try:
            yield attempt
        finally:
            self._ended(attempt)

    def refusal(self) -> TakenForDown:
        """What is said to whoever must not ask."""
        since = datetime.fromtimestamp((self._since or self._clock.now()) / 1000, UTC)
        left = self._until - self._clock.monotonic()
        again = left if left > 0 else self._shortest
        text = (
            f"{self._what} is taken for down since {since:%Y-%m-%d %H:%M:%S} UTC and asked again "
            f"in {again:.1f} s; {self._failures} attempts failed, the last: {self._last}"
        )
        return TakenForDown(text, retry_after=again)

    def _ended(self, attempt: Attempt) -> None:
        tried = attempt is self._trial
        if tried:
            self._trial = None
        if attempt.good:
            self._close()
        elif attempt.failure:
            self._failed(attempt.failure, tried=tried)

    def _failed(self, how: str, *, tried: bool) -> None:
        self._failures += 1
        self._last = how
        if self._since is None and self._failures >= self._most:
            self._since = self._clock.now()
            self._pause = self._shortest
            self._until = self._clock.monotonic() + self._pause
            log.warning("%s", self.refusal())
        elif tried:
            self._pause = min(2 * self._pause, self._longest)
            self._until = self._clock.monotonic() + self._pause

    def _close(self) -> None:
        if self._since is not None:
            away = (self._clock.now() - self._since) / 1000
            log.info("%s answers again after %.0f s", self._what, away)
        self._since = None
        self._failures = 0
        self._last = ""
