"""Complaints about senders: each kind at most once a minute, so that no stranger fills the log."""

import logging

from shared.ports.clock import Clock

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds."""


class Complaints:
    """Logs a warning, and how many of its kind were not logged since the last one."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def say(self, kind: str, message: str, **fields: object) -> None:
        """Complain. `kind` is one of a few of ours, nothing that a sender chooses."""
        now = self._clock.monotonic()
        last = self._last.get(kind)
        if last is not None and now < last + EVERY:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._last[kind] = now
        log.warning(message, extra={**fields, "unsaid": self._unsaid.pop(kind, 0)})
