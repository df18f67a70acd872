"""The polling budget in process, with the guarantees of Redis."""

import math
from collections.abc import Callable, Mapping

from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.ports.polls import Turn, most_saved

DUST = 1e-6
"""What may be missing of a turn: less than the microsecond in which it comes."""


class MemoryPolls:
    """A `shared.ports.polls.Polls` for one process.

    `under_way` counts the scan records that are alive, by lane.
    """

    def __init__(self, *, clock: Clock, under_way: Callable[[], Mapping[Lane, int]]) -> None:
        self._clock = clock
        self._under_way = under_way
        self._tokens = math.inf
        self._at = clock.monotonic()

    async def take(self, *, rate: float, spare: float = 0.0) -> Turn:
        now = self._clock.monotonic()
        tokens = min(most_saved(rate), self._tokens + (now - self._at) * rate)
        missing = 1 + spare - tokens
        granted = missing <= DUST
        self._tokens, self._at = tokens - granted, now
        scans = self._under_way()
        return Turn(
            granted=granted,
            wait=0 if granted else math.ceil(1000 * missing / rate),
            left=self._tokens,
            under_way=sum(scans.values()),
            for_people=scans.get(Lane.CHECK, 0),
        )
