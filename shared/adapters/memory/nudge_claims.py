"""Claims of nudges, in process."""

from shared.adapters.memory.ending import Ending
from shared.ports.clock import Clock

MAX_CLAIMS = 10_000


class MemoryNudgeClaims:
    """A `shared.ports.nudging.NudgeClaims` for one process."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._taken: Ending[int] = Ending(clock=clock, max_entries=MAX_CLAIMS)

    async def claim(self, uid: str, *, life: int) -> int | None:
        now = self._clock.now()
        taken = self._taken.get(uid)
        if taken is not None:
            return max(0, now - taken)
        self._taken.set(uid, now, ends=now + life)
        return None

    async def drop(self, uid: str) -> None:
        self._taken.pop(uid)
