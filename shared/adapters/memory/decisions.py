"""The last decisions in process, with the ids that Redis would give them."""

from collections import deque
from collections.abc import Sequence

from shared.adapters.entries import bounded, decision_id
from shared.ports.clock import Clock
from shared.ports.decisions import MAX_DECISIONS, DecisionRecord, StoredDecision


class MemoryDecisionLog:
    """A `shared.ports.decisions.DecisionLog` for one process."""

    def __init__(self, *, clock: Clock, max_decisions: int = MAX_DECISIONS) -> None:
        self._clock = clock
        self._last = (0, 0)
        self._entries: deque[tuple[tuple[int, int], DecisionRecord]] = deque(maxlen=max_decisions)

    async def write(self, decisions: Sequence[DecisionRecord]) -> None:
        for decision in decisions:
            self._last = self._next_id()
            self._entries.append((self._last, bounded(decision)))

    async def recent(self, *, limit: int, after: str = "") -> list[StoredDecision]:
        last_seen = decision_id(after) or (0, 0)
        recent: list[StoredDecision] = []
        for (at, number), decision in reversed(self._entries):
            if len(recent) >= limit or (at, number) <= last_seen:
                break
            recent.append(StoredDecision(f"{at}-{number}", decision))
        return recent

    def _next_id(self) -> tuple[int, int]:
        """Ids grow also where the clock went back."""
        at, number = self._last
        now = self._clock.now()
        return (now, 0) if now > at else (at, number + 1)
