"""The verdict store in Redis (docs/design/protocol.md, docs/design/broker-facts.md 4)."""

from collections.abc import Sequence

from shared.adapters.record_order import order_of
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.listener import Subscription
from shared.adapters.redis_store.scripts.scans import PUT
from shared.ports.verdicts import MAX_AHEAD, Listener, Put

SCAN_COUNT = 1_000
MAX_SCANS = 2_000
"""SCAN calls for one list of keys: two million keys looked at."""


class RedisVerdictStore:
    """A `shared.ports.verdicts.VerdictStore`.

    Wants Redis 6.2 or newer, with `noeviction` or a `volatile-*` eviction policy: the steps not
    begun have no end and must not be evicted.
    """

    def __init__(self, *, links: RedisLinks) -> None:
        self._links = links
        self._records = f"{links.prefix}record:"
        self._channel = f"{links.prefix}changed"

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return await self._links.read([f"{self._records}{key}" for key in keys])

    async def put(
        self, sealed: bytes, *, key: str, ends: int, scan: str = "", chain: str = ""
    ) -> Put:
        order_of(sealed, key=key)
        prefix = self._links.prefix
        answer: bytes = await self._links.run(
            PUT,
            keys=[
                f"{self._records}{key}",
                f"{prefix}lease:{scan}",
                f"{prefix}leases",
                self._channel,
            ],
            args=[sealed, ends, key, MAX_AHEAD, scan, chain],
            doing=f"put {key}",
        )
        return Put(answer.decode())

    async def listen(self, listener: Listener) -> None:
        await Subscription(links=self._links, channel=self._channel, listener=listener).run()

    async def keys(self, prefix: str, *, limit: int) -> list[str]:
        found: dict[str, None] = {}
        cursor = 0
        for _ in range(MAX_SCANS):
            cursor, names = await self._links.scan(
                cursor, match=f"{_literally(self._records + prefix)}*", count=SCAN_COUNT
            )
            found.update(dict.fromkeys(name.removeprefix(self._records) for name in names))
            if cursor == 0 or len(found) >= limit:
                break
        return list(found)[:limit]

    async def ping(self) -> None:
        await self._links.ping()


def _literally(text: str) -> str:
    """`text` as a pattern that matches only itself."""
    return "".join(f"\\{character}" if character in "*?[]^-\\" else character for character in text)
