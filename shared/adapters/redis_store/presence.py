"""Who is alive: the beats of all processes in Redis, on its clock."""

from shared.adapters.entries import MAX_BEAT_BYTES, read_entry, write_beat
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.beats import ALIVE, BEAT, GOODBYE
from shared.ports.presence import GONE_AFTER, MAX_PRESENT, Alive, Beat


class RedisPresence:
    """A `shared.ports.presence.Presence`. Raises StoreError as the store does."""

    def __init__(
        self, *, links: RedisLinks, gone_after: int = GONE_AFTER, max_present: int = MAX_PRESENT
    ) -> None:
        self._links = links
        self._gone_after = gone_after
        self._max_present = max_present
        self._beats = f"{links.prefix}beats"

    async def beat(self, beat: Beat) -> None:
        await self._links.run(
            BEAT,
            keys=[self._beats, f"{self._beats}:when"],
            args=[beat.name, write_beat(beat), self._gone_after, self._max_present],
            doing=f"say that {beat.name} is alive",
        )

    async def goodbye(self, name: str) -> None:
        await self._links.run(
            GOODBYE,
            keys=[self._beats, f"{self._beats}:when"],
            args=[name],
            doing=f"say that {name} ends",
        )

    async def alive(self) -> list[Alive]:
        found: list[bytes] = await self._links.run(
            ALIVE,
            keys=[self._beats, f"{self._beats}:when"],
            args=[self._gone_after, self._max_present, MAX_BEAT_BYTES],
            doing="list who is alive",
        )
        alive = [
            Alive(beat, int(silence))
            for name, written, silence in zip(found[::3], found[1::3], found[2::3], strict=True)
            if (beat := read_entry(written, Beat)) is not None and beat.name.encode() == name
        ]
        return sorted(alive, key=lambda one: (one.beat.service, one.beat.name))
