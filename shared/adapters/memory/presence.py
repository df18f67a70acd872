"""Who is alive, in process: whatever runs inside one `imagegate up`."""

from shared.adapters.entries import write_beat
from shared.adapters.memory.ending import Ending
from shared.ports.clock import Clock
from shared.ports.presence import GONE_AFTER, MAX_PRESENT, Alive, Beat


class MemoryPresence:
    """A `shared.ports.presence.Presence` for one process."""

    def __init__(
        self, *, clock: Clock, gone_after: int = GONE_AFTER, max_present: int = MAX_PRESENT
    ) -> None:
        self._clock = clock
        self._gone_after = gone_after
        self._heard: Ending[tuple[int, Beat]] = Ending(clock=clock, max_entries=max_present)

    async def beat(self, beat: Beat) -> None:
        write_beat(beat)  # raises for one that Redis would not be given either
        now = self._clock.now()
        self._heard.set(beat.name, (now, beat), ends=now + self._gone_after)

    async def goodbye(self, name: str) -> None:
        self._heard.pop(name)

    async def alive(self) -> list[Alive]:
        now = self._clock.now()
        alive = [Alive(beat, max(0, now - at)) for _, (at, beat) in self._heard.items()]
        return sorted(alive, key=lambda one: (one.beat.service, one.beat.name))
