"""How fast steps are handed to workers: from counters that each process keeps for itself."""

from collections import Counter, deque
from collections.abc import Sequence

from shared.domain.step import Lane
from shared.ports.presence import MAX_PRESENT, Alive

WINDOW = 10.0
"""Seconds that a rate is told over: several beats, so that it does not flicker."""

MAX_REMEMBERED = 2 * MAX_PRESENT
"""Processes whose last counters are kept: one that was silent for a while comes back with its."""


class Rates:
    """Grows with the counters of all processes; who is gone takes nothing back.

    A process that is new starts at its own zero. What the first look finds stands before the
    first mark: nobody knows when that was delivered.
    """

    def __init__(self) -> None:
        self._last: dict[str, dict[Lane, int]] = {}
        self._grown: Counter[Lane] = Counter()
        self._marks: deque[tuple[float, Counter[Lane]]] = deque()

    def seen(self, alive: Sequence[Alive], *, at: float) -> dict[Lane, float | None]:
        """Steps a second by lane, now that `alive` was told at `at` (seconds, monotonic).

        None as long as there is nothing to compare with.
        """
        for one in alive:
            self._grow(one.beat.name, one.beat.delivered)
        while len(self._last) > MAX_REMEMBERED:
            del self._last[next(iter(self._last))]
        self._marks.append((at, self._grown.copy()))
        # The first mark is the newest one that is as old as the window.
        while len(self._marks) > 2 and self._marks[1][0] <= at - WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        if at <= since:
            return dict.fromkeys(Lane)
        return {lane: round((self._grown[lane] - before[lane]) / (at - since), 3) for lane in Lane}

    def _grow(self, name: str, delivered: dict[Lane, int]) -> None:
        before = self._last.pop(name, {})
        self._last[name] = delivered
        for lane, count in delivered.items():
            self._grown[lane] += max(0, count - before.get(lane, 0))
