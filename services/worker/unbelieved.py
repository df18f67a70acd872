"""Stored records that are not believed: each is counted, and one is said now and then.

A survey reads all that is in use every few seconds, and finds each of them again until it ends.
After a key was taken out of the ring that is every record there is, for days.
"""

import logging
from collections.abc import Callable

from shared.domain.errors import InvalidSignature
from shared.domain.signing import Kind
from shared.ports.clock import Clock
from shared.runtime.seldom import Bursts, Seldom

log = logging.getLogger(__name__)

SAID_AGAIN = 60.0
"""Seconds between two lines about records of one kind."""

COUNTED_AGAIN = 86_400.0
"""Seconds after which one that is still there counts again. Were it counted each time that it is
read, what is left of an old key would be an alert for days, and what somebody writes meanwhile
would show in nothing."""

MOST = 20_000
"""Records that are remembered as counted, some 3 MB; of more than these some count sooner."""


class Unbelieved:
    """Hears of each record that is not believed, each time that it is read."""

    def __init__(self, *, clock: Clock, on_found: Callable[[], None]) -> None:
        """`on_found` counts those that were not counted within the last day."""
        self._on_found = on_found
        self._bursts = Bursts(clock=clock, every=SAID_AGAIN)
        self._counted = Seldom(clock=clock, every=COUNTED_AGAIN, max_said=MOST)

    def found(self, kind: Kind, key: str, sealed: bytes, error: InvalidSignature) -> None:
        """`sealed` stands under `key`, and is not believed."""
        if self._counted.is_due(str(hash((key, sealed)))):
            self._on_found()
        more = self._bursts.said(kind)
        if more is not None:
            log.warning("a stored record is not believed: %s%s", error, more)
