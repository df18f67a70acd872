"""Leases of who leads, in Redis, on its clock."""

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.care import LEAD, LEAVE


class RedisLeadership:
    """A `shared.ports.leadership.Leadership`. Raises StoreError as the store does."""

    def __init__(self, *, links: RedisLinks) -> None:
        self._links = links

    async def lead(self, name: str, owner: str, *, life: int) -> bool:
        answer: int = await self._links.run(
            LEAD, keys=[self._key(name)], args=[owner, life], doing=f"lead {name}"
        )
        return answer == 1

    async def leave(self, name: str, owner: str) -> None:
        await self._links.run(LEAVE, keys=[self._key(name)], args=[owner], doing=f"leave {name}")

    def _key(self, name: str) -> str:
        return f"{self._links.prefix}leader:{name}"
