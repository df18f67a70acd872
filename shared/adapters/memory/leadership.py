"""Leases of who leads, in process: there is one to lead, and it does."""

from shared.adapters.memory.ending import Ending
from shared.ports.clock import Clock

MAX_NAMES = 100


class MemoryLeadership:
    """A `shared.ports.leadership.Leadership` for one process."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._owners: Ending[str] = Ending(clock=clock, max_entries=MAX_NAMES)

    async def lead(self, name: str, owner: str, *, life: int) -> bool:
        if self._owners.get(name) not in (None, owner):
            return False
        self._owners.set(name, owner, ends=self._clock.now() + life)
        return True

    async def leave(self, name: str, owner: str) -> None:
        if self._owners.get(name) == owner:
            self._owners.pop(name)
