"""Quick looks: a check step looks again inside itself, while the analysis is young.

The shortest delay of the ladder is a second, and the analysis of a small image takes less: whoever
waits would wait twice as long as he must. A quick look is a look like any other; what it may cost
others is bounded here (docs/adr/0010).
"""

import statistics
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping

from services.worker.budget import PollBudget
from services.worker.pausing import Pause
from shared.domain.step import Lane
from shared.ports.clock import Clock

YOUNG = 5.0
"""Seconds since the chain began; after them the ladder is quick enough."""

PAUSE = 0.2
AT_A_TIME = 1.0
"""Seconds of looking after which a step ends, so that others get its place."""

SOON = 10.0
"""Seconds. Where the last analyses took longer, most quick looks would be for nothing."""

MEASURED = 20
FORGET = 3600.0
"""Seconds after which a measured analysis says nothing any more of the next one."""

SHARE = 4
"""Of so many places of a lane one may be a quick looker's: the others never wait for it."""

Look = Callable[[], Awaitable[bool]]
"""Asks how far an analysis is; whether the scan is over."""


class LastAnalyses:
    """How long the last analyses took, as far as this process saw them end."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._took: deque[tuple[float, float]] = deque(maxlen=MEASURED)

    def ended(self, seconds: float) -> None:
        """One more took `seconds`."""
        self._took.append((self._clock.monotonic(), seconds))

    @property
    def end_soon(self) -> bool:
        """Whether the next one likely ends soon; where nothing is known that is worth a try."""
        while self._took and self._took[0][0] < self._clock.monotonic() - FORGET:
            self._took.popleft()
        return not self._took or statistics.median(took for _, took in self._took) <= SOON


class QuickLooks:
    """Lets steps look again, within what is to spare."""

    def __init__(
        self,
        *,
        budget: PollBudget,
        clock: Clock,
        pause: Pause,
        places: Mapping[Lane, int],
    ) -> None:
        """`places`: how many steps of each lane may do so at a time, none where it says nothing."""
        self.analyses = LastAnalyses(clock=clock)
        self._budget = budget
        self._clock = clock
        self._pause = pause
        self._places = places
        self._taken: Counter[Lane] = Counter()

    def worth(self, lane: Lane, age: float) -> bool:
        """Whether a check in `lane` may look quickly at an analysis of `age` seconds now."""
        return self._likely(age) and self._free(lane) and self._budget.spare

    async def looks(self, look: Look, *, lane: Lane, age: Callable[[], float]) -> bool:
        """`look`, and again for about a second while that is worth it; whether it is over."""
        ends = self._clock.monotonic() + AT_A_TIME
        if await look():
            return True
        if not self._free(lane):
            return False
        self._taken[lane] += 1
        try:
            while self._likely(age()) and self._budget.spare and await self._pause(PAUSE):
                if self._clock.monotonic() >= ends or not await self._budget.take_spare():
                    return False
                if await look():
                    return True
            return False
        finally:
            self._taken[lane] -= 1

    def _likely(self, age: float) -> bool:
        return age < YOUNG and self.analyses.end_soon

    def _free(self, lane: Lane) -> bool:
        return self._taken[lane] < self._places.get(lane, 0)
