"""How often an owner was nudged, and how often in vain: when it may be nudged again."""

import msgspec

from services.webhook.blocked import LIFE, MAX_OWNERS
from shared.domain.latest import Latest

EVERY = 5.0
"""Seconds from a nudge to the next one of the same owner; twice as many after each that helped
nothing, so that one whose pods are denied for another reason is soon left in peace."""
LONGEST = 1_000.0
"""Seconds: a controller comes back by itself as seldom as that."""
LONGEST_OF_THE_FAILED = 60.0
"""Seconds from one that the API server did not take: when its outage ends is told by nobody."""

_DOUBLINGS = 20


class Pace(msgspec.Struct, frozen=True):
    """Of one owner. Times are monotonic seconds."""

    times: int = 0
    at: float = 0.0
    """When it was nudged last."""
    failures: int = 0
    """In a row, the last ones."""
    failed: float = 0.0
    """When it could not be nudged last."""

    def next(self, now: float) -> float:
        """When it may be nudged again."""
        helped_not = self.at + _doubled(self.times, LONGEST) if self._counts(now) else now
        failed = self.failed + _doubled(self.failures, LONGEST_OF_THE_FAILED)
        return max(now, helped_not, failed if self.failures else now)

    def nudged(self, now: float) -> "Pace":
        """As it is after a nudge."""
        return Pace((self.times if self._counts(now) else 0) + 1, now)

    def failed_again(self, now: float) -> "Pace":
        """As it is after one that failed."""
        return Pace(self.times, self.at, self.failures + 1, now)

    def _counts(self, now: float) -> bool:
        """Whether the nudges of it so far are about what it is denied for now."""
        return self.times > 0 and self.at + LIFE >= now


class Paces:
    """Those of owners, by their uids; the ones that were touched longest ago are forgotten."""

    def __init__(self) -> None:
        self._paces = Latest[str, Pace](MAX_OWNERS)

    def next(self, uid: str, now: float) -> float:
        """When that owner may be nudged again."""
        return self._of(uid).next(now)

    def fails(self, uid: str) -> bool:
        """Whether its last nudge failed: others come first."""
        return self._of(uid).failures > 0

    def nudged(self, uid: str, now: float) -> None:
        """It was nudged."""
        self._paces[uid] = self._of(uid).nudged(now)

    def failed(self, uid: str, now: float) -> None:
        """It could not be nudged."""
        self._paces[uid] = self._of(uid).failed_again(now)

    def _of(self, uid: str) -> Pace:
        return self._paces.get(uid) or Pace()


def _doubled(times: int, longest: float) -> float:
    return min(longest, EVERY * 2.0 ** min(times - 1, _DOUBLINGS))
