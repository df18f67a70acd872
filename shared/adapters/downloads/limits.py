"""Bounds on what a download may cost, whatever the other side does."""

import msgspec

BLOCK = 256 * 1024
"""Bytes that are written at once."""
STEP = 64 * 1024
MAX_REDIRECTS = 5
MAX_HEADER = 256
"""Characters of a header that is kept."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, unless said otherwise. There is none on a whole download: lines are slow."""

    connect: float = 10.0
    stall: float = 60.0
    """Without an answer, or without STEP bytes more of a body, a connection is given up."""
    attempts: int = 5
    """In a row that brought less than STEP bytes: then the call fails."""
    backoff: float = 1.0
    """Before the second attempt; doubled before each one more."""
    max_wait: float = 60.0
    """Between attempts. Who asks for more (Retry-After) is asked no more in this call."""
