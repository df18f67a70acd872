"""How long to wait before the next delivery: retries across deliveries, and polls.

Delays come from a fixed ladder because each is a queue of its own whose messages expire
together (docs/design/broker-facts.md 1: only the head of a queue expires).
"""

DELAYS = (1, 2, 5, 10, 30, 60, 300)
"""Seconds; the delay queues that exist."""

MAX_ATTEMPTS = 8
"""About ten minutes of trying; then the step is a dead letter."""

POLL_SHARE = 10
"""A poll waits at most this part of the time the analysis has taken so far."""

MAX_POLL = 30


def fitting_delay(seconds: float) -> int:
    """The shortest delay of the ladder that is not shorter than `seconds`."""
    return next((delay for delay in DELAYS if delay >= seconds), DELAYS[-1])


def retry_delay(attempt: int, *, retry_after: float | None = None) -> int | None:
    """Seconds before attempt number `attempt` (1 is the first retry); None: give up.

    What the other side asked for is honoured where it is longer.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    own = DELAYS[min(attempt, len(DELAYS)) - 1]
    return max(own, fitting_delay(retry_after)) if retry_after else own


def poll_delay(age: float) -> int:
    """Seconds before an analysis that has taken `age` seconds is asked about again.

    One second at first, stretched up to 30 (behaviour.md 5).
    """
    allowed = min(age / POLL_SHARE, MAX_POLL)
    return max((delay for delay in DELAYS if delay <= allowed), default=DELAYS[0])
