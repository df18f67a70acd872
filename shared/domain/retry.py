"""How long to wait before the next delivery: retries across deliveries, and polls.

Delays come from a fixed ladder because each is a queue of its own whose messages expire
together (docs/design/broker-facts.md 1: only the head of a queue expires).
"""

import zlib

DELAYS = (1, 2, 5, 10, 30, 60, 120, 300)
"""Seconds; the delay queues that exist."""

RETRIES = (1, 2, 5, 10, 30, 60, 300)
"""Seconds before each attempt after the first."""

MAX_ATTEMPTS = len(RETRIES) + 1
"""About seven minutes of trying; then the step is a dead letter."""

POLL_SHARE = 10
"""A poll waits at most this part of the time the analysis has taken so far."""

MAX_POLL = 30


def fitting_delay(seconds: float) -> int:
    """The shortest delay of the ladder that is not shorter than `seconds`."""
    return next((delay for delay in DELAYS if delay >= seconds), DELAYS[-1])


def spread_delay(seconds: float, *, luck: float) -> int:
    """One of the two delays of the ladder next to `seconds`, by `luck` (0 to 1, of each step its
    own): of many steps the mean is `seconds`, and they do not come back together."""
    longer = fitting_delay(seconds)
    shorter = _at_most(seconds)
    return longer if luck * (longer - shorter) < seconds - shorter else shorter


def luck_of(step_id: str) -> float:
    """A step's luck: it stays its own, so that a copy of it is delayed alike."""
    return zlib.crc32(step_id.encode()) / 2**32


def retry_delay(attempt: int, *, retry_after: float | None = None) -> int | None:
    """Seconds before attempt number `attempt` (1 is the first retry); None: give up.

    What the other side asked for is honoured where it is longer.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    own = RETRIES[attempt - 1]
    return max(own, fitting_delay(retry_after)) if retry_after else own


def poll_delay(age: float, *, share: float = 0.0, luck: float = 0.0) -> int:
    """Seconds before an analysis that has taken `age` seconds is asked about again.

    One second at first, stretched up to 30 (behaviour.md 5); and to `share` seconds where so many
    are under way that the polling budget carries no more (docs/adr/0021). A young one is looked at
    sooner than that: it waits no longer than it has taken so far.
    """
    own = _at_most(min(age / POLL_SHARE, MAX_POLL))
    stretched = min(share, age)
    return spread_delay(stretched, luck=luck) if stretched > own else own


def place_delay(waited: float) -> int:
    """Seconds before a request that found no place for its analysis `waited` seconds after it was
    wanted comes again: as a poll, and up to five minutes, since nobody waits for it and thousands
    may go round."""
    return _at_most(min(waited / POLL_SHARE, DELAYS[-1]))


def _at_most(seconds: float) -> int:
    return max((delay for delay in DELAYS if delay <= seconds), default=DELAYS[0])
