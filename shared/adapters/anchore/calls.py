"""What is asked of an Anchore server, and how long, how often and how much at most."""

from collections.abc import Callable
from typing import Any

import msgspec

OnCall = Callable[[str, str, float], None]
"""Told of each attempt: operation, outcome (the status, or `timeout`, `unreachable`,
`unreadable`, `no_token`, `cancelled`; `refused` where the breaker let nothing through, `busy` where
no connection of ours was free, `throttled` where we ask no more often) and seconds."""


def nobody(*_: object) -> None:
    """Nobody counts."""


class Limits(msgspec.Struct, frozen=True):
    """How long, how often and how much. Times in seconds."""

    attempts: int = 3
    attempt: float = 10.0
    total: float = 25.0
    """For all attempts of a call and the pauses between them."""
    pause: float = 0.2
    longest_pause: float = 2.0
    short_retry_after: float = 2.0
    """A longer Retry-After ends the call and is handed to the delay ladder."""
    max_bytes: int = 4 * 1024 * 1024
    connections: int = 20
    calls: float | None = None
    """A second; None: as many as there are."""


class Call(msgspec.Struct, frozen=True):
    """One question to the server."""

    operation: str
    method: str
    path: str
    query: dict[str, str] = msgspec.field(default_factory=dict)
    body: Any = None
    """Sent as JSON."""
    form: dict[str, str] | None = None
    """Sent as a form, in the body's stead."""
    account: str = ""
    repeatable: bool = True
    """Whether sending it twice does no harm."""
    seconds: float | None = None
    """What one attempt may take, where that is less than the limits' `attempt`."""
    patient: bool = False
    """One attempt may take the whole budget: Anchore asks somebody else before it answers."""
    anonymous: bool = False
    """Asked without credentials: what needs none must not fail for want of a token."""
    past_breaker: bool = False
    """Asked whatever the breaker says, and no sign to it, and out of turn: for people and probes,
    who want to hear what the server says now."""

    def __repr__(self) -> str:
        """Without what is sent: passwords may be in it."""
        return f"Call({self.operation}, {self.method} {self.path}, account={self.account!r})"
