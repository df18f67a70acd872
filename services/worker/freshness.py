"""How long verdicts are fresh: as long as usual, or longer where the scanner cannot carry that.

All that is in use is renewed before it is stale, and only so many evaluations a second may be
spent on it (docs/design/refresh.md). Where more is in use than that carries, verdicts are fresh for
as long as one round of all of them takes: it is signed into each, so that webhooks ask no sooner.
"""

import logging
import statistics
from collections import deque

import msgspec

from shared.domain.errors import StoreError
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.verdict import FRESH_FAIL, FRESH_PASS, MAX_FRESH, RENEWED_FROM, Outcome, Verdict
from shared.ports.clock import Clock
from shared.ports.usage import Usage

log = logging.getLogger(__name__)

SHARE = 0.5
"""Of the time of one who asks the scanner without a pause: what renewing may take of it. People's
images have the rest, and whatever the scanner does side by side."""

ASSUMED = 1.0
"""Seconds of an evaluation before one was measured."""

MEASURED = 64
"""Evaluations that are remembered."""

FORGET = 3600.0
"""Seconds after which a measured evaluation says nothing any more of the next one."""

KEPT = MINUTE
"""Milliseconds: an evaluation that was older when it was answered had been kept (Enterprise does so
for an hour, docs/design/anchore-v2.md 3)."""

COUNT_EVERY = 60.0
"""Seconds between two questions how much is in use."""


class Freshness:
    """Measures evaluations, says how many a second renewing may cost, and how long that makes
    verdicts fresh."""

    def __init__(self, *, usage: Usage, clock: Clock, most: float) -> None:
        """`most` evaluations a second are spent on renewing, however quick the scanner is."""
        self._usage = usage
        self._clock = clock
        self._most = most
        self._took: deque[tuple[float, float]] = deque(maxlen=MEASURED)
        self._in_use = 0
        self._count_at = 0.0

    def evaluated(self, seconds: float) -> None:
        """One evaluation took so long."""
        self._took.append((self._clock.monotonic(), seconds))

    @property
    def rate(self) -> float:
        """Evaluations a second that renewing may cost."""
        while self._took and self._took[0][0] < self._clock.monotonic() - FORGET:
            self._took.popleft()
        took = statistics.fmean(took for _, took in self._took) if self._took else ASSUMED
        return min(self._most, SHARE / max(took, 0.001))

    async def stretched(self, verdict: Verdict) -> Verdict:
        """The verdict with the freshness that can be kept up; an error as it is."""
        if verdict.outcome is Outcome.ERROR:
            return verdict
        # Even what is renewed soonest in its freshness may not be due before a round is over.
        needed = round(SECOND * await self._counted() / self.rate / RENEWED_FROM)
        # A fail waits for its feed or its policy to be mended, and a person with it.
        most = MAX_FRESH if verdict.outcome is Outcome.PASS else FRESH_PASS
        stretched = max(min(needed, most), self._asked_anew(verdict))
        return msgspec.structs.replace(
            verdict, stretched=stretched if stretched > verdict.fresh_for else 0
        )

    def _asked_anew(self, verdict: Verdict) -> int:
        """Milliseconds for which what the scanner had kept is fresh, so that it is asked no sooner
        than about any fail: until it evaluates anew it says the same, however often one asks."""
        kept = self._clock.now() - verdict.evaluated_at
        return round((kept + FRESH_FAIL) / RENEWED_FROM) if kept > KEPT else 0

    async def _counted(self) -> int:
        """How much is in use, as it was a moment ago; as before where the store does not tell."""
        if self._clock.monotonic() >= self._count_at:
            self._count_at = self._clock.monotonic() + COUNT_EVERY
            try:
                self._in_use = await self._usage.count()
            except StoreError as error:
                log.warning("cannot count what is in use: %s", error)
        return self._in_use
