"""The switch: whether there is an emergency, as an operator's key said last.

Whatever this process has once seen holds against all that was signed before it, from wherever that
comes back. It begins and ends loudly.
"""

import logging
from collections.abc import Callable

from services.webhook.believed import Source
from shared.domain.emergency import Emergency
from shared.domain.pointer import SECOND
from shared.ports.clock import Clock

log = logging.getLogger(__name__)


class Switch:
    """Holds the newest emergency that was ever offered; `on_change` is told of the one that counts
    now, None: there is none."""

    def __init__(
        self, *, clock: Clock, on_change: Callable[[Emergency | None], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._newest: Emergency | None = None
        self._told: Emergency | None = None
        self._lasts_until = 0.0

    def take(self, emergency: Emergency, source: Source, *, key_id: str) -> None:
        """Believe it, unless something newer was seen."""
        before = self._newest
        if not emergency.replaces(before):
            return
        self._newest = emergency
        if emergency.counts(self._clock.now()):
            log.warning("emergency: nothing is refused", extra=_told(emergency, source, key_id))
        elif before is not None and before.counts(self._clock.now()):
            log.warning("emergency was ended", extra=_told(emergency, source, key_id))
        # Nobody need be told of its end by its time.
        now = self._clock.now()
        self._told = emergency if emergency.counts(now) else None
        # A clock that is put back makes none longer.
        self._lasts_until = self._clock.monotonic() + (emergency.until - now) / SECOND
        self._on_change(self._told)

    def look(self) -> None:
        """Tell if it has ended; it counts to no review from its last moment on, looked at or
        not."""
        if self._told is not None and self.until == 0:
            log.warning("emergency has ended", extra={"until": self._told.until})
            self._told = None
            self._on_change(None)

    @property
    def until(self) -> int:
        """When the one that counts ends (ms); 0: there is none."""
        return self._told.until if self._told is not None and self.seconds > 0 else 0

    @property
    def signed(self) -> int:
        """When the newest was signed (ms) that was ever offered, whatever it says; 0: none was."""
        return self._newest.made_at if self._newest is not None else 0

    @property
    def seconds(self) -> float:
        """That it goes on; 0: there is none."""
        if self._told is None:
            return 0.0
        by_date = (self._told.until - self._clock.now()) / SECOND
        return max(0.0, min(by_date, self._lasts_until - self._clock.monotonic()))


def _told(emergency: Emergency, source: Source, key_id: str) -> dict[str, str | int]:
    """For whoever asks later who switched what, and why."""
    return {
        "namespaces": ",".join(emergency.namespaces),
        "owner": emergency.owner,
        "reason": emergency.reason,
        "made_at": emergency.made_at,
        "until": emergency.until,
        "key": key_id,
        "source": source,
    }
