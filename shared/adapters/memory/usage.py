"""What is used, in process, with the guarantees of Redis."""

from bisect import bisect_left
from collections.abc import Mapping

from shared.adapters.uses import read_use, write_use
from shared.ports.clock import Clock
from shared.ports.usage import MAX_USES, USED_FOR, Use, Used


class MemoryUsage:
    """A `shared.ports.usage.Usage` for one process."""

    def __init__(self, *, clock: Clock, max_uses: int = MAX_USES, used_for: int = USED_FOR) -> None:
        self._clock = clock
        self._max_uses = max_uses
        self._used_for = used_for
        self._at: dict[bytes, int] = {}
        # By time and bytes, made anew when somebody asks after something was recorded.
        self._in_order: list[tuple[int, bytes]] | None = []

    async def record(self, uses: Mapping[Use, int]) -> None:
        now = self._clock.now()
        for each, at in uses.items():
            if (use := write_use(each)) is not None:
                self._at[use] = max(min(at, now), self._at.get(use, 0))
        self._in_order = None
        for _, use in self._ordered()[: -self._max_uses]:
            del self._at[use]
        self._in_order = None

    async def recent(self, *, limit: int, before: Used | None = None) -> list[Used]:
        ordered = self._ordered()
        end = len(ordered)
        if before is not None:
            end = bisect_left(ordered, (before.at, write_use(before.use) or b""))
        latest_first = reversed(ordered[max(0, end - limit) : end])
        return [Used(use, at) for at, one in latest_first if (use := read_use(one)) is not None]

    async def count(self) -> int:
        return len(self._ordered())

    def _ordered(self) -> list[tuple[int, bytes]]:
        """Those that are in use, the earliest first."""
        if self._in_order is None:
            self._in_order = sorted((at, use) for use, at in self._at.items())
        ended = bisect_left(self._in_order, (self._clock.now() - self._used_for + 1,))
        for _, use in self._in_order[:ended]:
            self._at.pop(use, None)
        del self._in_order[:ended]
        return self._in_order
