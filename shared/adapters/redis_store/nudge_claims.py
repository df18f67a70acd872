"""Claims of nudges in Redis, on its clock; beside request claims, so that a webhook needs no other
rights for them (docs/design/redis-rights.md)."""

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.care import CLAIM_NUDGE, DROP_NUDGE


class RedisNudgeClaims:
    """A `shared.ports.nudging.NudgeClaims`. Raises StoreError as the store does."""

    def __init__(self, *, links: RedisLinks) -> None:
        self._links = links

    async def claim(self, uid: str, *, life: int) -> int | None:
        age: int = await self._links.run(
            CLAIM_NUDGE, keys=[self._key(uid)], args=[life], doing="claim a nudge"
        )
        return None if age < 0 else age

    async def drop(self, uid: str) -> None:
        await self._links.run(DROP_NUDGE, keys=[self._key(uid)], args=[], doing="drop a nudge")

    def _key(self, uid: str) -> str:
        return f"{self._links.prefix}claim:nudge:{uid}"
