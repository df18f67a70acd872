"""What is used, in Redis, on its clock: one sorted set."""

from collections.abc import Mapping

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.care import COUNT_USES, RECENT_USES, RECORD_USES
from shared.adapters.uses import read_use, write_use
from shared.ports.usage import MAX_USE, MAX_USES, USED_FOR, Use, Used

BATCH = 200
"""Uses of one script: a longer one would keep others waiting."""


class RedisUsage:
    """A `shared.ports.usage.Usage`. Raises StoreError as the store does."""

    def __init__(
        self, *, links: RedisLinks, max_uses: int = MAX_USES, used_for: int = USED_FOR
    ) -> None:
        self._links = links
        self._max_uses = max_uses
        self._used_for = used_for
        self._uses = f"{links.prefix}uses"

    async def record(self, uses: Mapping[Use, int]) -> None:
        written = [(at, use) for each, at in uses.items() if (use := write_use(each)) is not None]
        for start in range(0, len(written), BATCH):
            batch = [part for pair in written[start : start + BATCH] for part in pair]
            await self._links.run(
                RECORD_USES,
                keys=[self._uses],
                args=[self._used_for, self._max_uses, *batch],
                doing="record uses",
            )

    async def recent(self, *, limit: int, before: Used | None = None) -> list[Used]:
        after: tuple[int, bytes] | None = None
        if before is not None:
            after = (before.at, write_use(before.use) or b"")
        recent: list[Used] = []
        while len(recent) < limit:
            wanted = limit - len(recent)
            page = await self._page(wanted, after)
            recent += [Used(use, at) for at, one in page if (use := read_use(one)) is not None]
            if len(page) < wanted:
                break
            after = page[-1]
        return recent

    async def count(self) -> int:
        counted: int = await self._links.run(
            COUNT_USES, keys=[self._uses], args=[self._used_for], doing="count uses"
        )
        return counted

    async def _page(self, limit: int, after: tuple[int, bytes] | None) -> list[tuple[int, bytes]]:
        """Some uses as they are written, each with its time."""
        found: list[bytes] = await self._links.run(
            RECENT_USES,
            keys=[self._uses],
            args=[self._used_for, limit, MAX_USE, *(after or ())],
            doing="list uses",
        )
        return [(int(at), use) for use, at in zip(found[::2], found[1::2], strict=True)]
