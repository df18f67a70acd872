"""Request claims and scan records in Redis (docs/design/protocol.md)."""

import logging
import uuid
from collections.abc import Sequence

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.claims import (
    BEGIN,
    BEGUN,
    CLAIM,
    DROP,
    FREE,
    KEEP,
    OLDEST_STEPS,
    OVERDUE,
)
from shared.adapters.redis_store.scripts.scans import (
    HOLD,
    HOLDER,
    OLDEST_LEASES,
    PLACE,
    RELEASE,
    RENEW,
    ROOM,
)
from shared.domain.errors import InvalidStep
from shared.domain.step import Lane, Step, decode_step, encode_step
from shared.ports.claims import MAX_OF_A_TENANT, Claim, Held, Hold, Holder

MAX_REMEMBERED = 10_000

log = logging.getLogger(__name__)


class RedisRequestClaims:
    """A `shared.ports.claims.RequestClaims`. Raises StoreError as the store does."""

    def __init__(self, *, links: RedisLinks, max_remembered: int = MAX_REMEMBERED) -> None:
        self._links = links
        self._max_remembered = max_remembered
        self._steps = f"{links.prefix}steps"

    async def claim(self, key: str, step: Step, *, life: int, scans: Sequence[str] = ()) -> Claim:
        leases = [f"{self._links.prefix}lease:{scan}" for scan in scans]
        counted = [self._counted(step.tenant)] if step.tenant else []
        answer: bytes = await self._links.run(
            CLAIM,
            keys=[self._claim(key), self._steps, *leases, *counted],
            args=[
                key,
                f"{step.lane} {step.id} {uuid.uuid4().hex}",
                life,
                step.lane,
                step.first_seen,
                encode_step(step),
                self._max_remembered,
                MAX_OF_A_TENANT if step.tenant else 0,
            ],
            doing=f"claim {key}",
        )
        return Claim(answer.decode())

    async def begun(self, scans: Sequence[str]) -> int | None:
        leases = [f"{self._links.prefix}lease:{scan}" for scan in scans]
        oldest: int | None = await self._links.run(
            BEGUN, keys=leases, args=[], doing="see when a scan was wanted first"
        )
        return oldest

    async def drop(self, key: str) -> None:
        await self._links.run(DROP, keys=[self._claim(key)], args=[], doing=f"drop {key}")

    async def begin(self, key: str) -> None:
        await self._links.run(
            BEGIN, keys=[self._claim(key), self._steps], args=[key], doing=f"begin {key}"
        )

    async def keep(self, key: str, *, owner: str, life: int) -> bool:
        token = f"{Lane.PREWARM} {owner}"
        return bool(
            await self._links.run(
                KEEP, keys=[self._claim(key)], args=[token, life], doing=f"keep {key}"
            )
        )

    async def free(self, step: Step) -> None:
        if step.tenant:
            keys = [self._counted(step.tenant)]
            await self._links.run(FREE, keys=keys, args=[step.claim], doing=f"free {step.claim}")

    async def overdue(self, *, age: int, limit: int) -> list[Step]:
        named: list[bytes] = await self._links.run(
            OVERDUE, keys=[self._steps], args=[age, limit], doing="name overdue steps"
        )
        steps = []
        for key, message in zip(named[::2], named[1::2], strict=True):
            try:
                steps.append(decode_step(message))
            except InvalidStep as error:
                log.warning("remembered step forgotten: unreadable", extra={"why": str(error)})
                await self.begin(key.decode())
        return steps

    async def oldest(self) -> dict[Lane, int]:
        return _by_lane(
            await self._links.run(
                OLDEST_STEPS, keys=[self._steps], args=[], doing="find the oldest step"
            )
        )

    def _claim(self, key: str) -> str:
        return f"{self._links.prefix}claim:{key}"

    def _counted(self, tenant: str) -> str:
        """What counts for a tenant: requests here, and scans (`RedisScanLeases`)."""
        return f"{self._links.prefix}leases:of:{tenant}"


class RedisScanLeases:
    """A `shared.ports.claims.ScanLeases`. Raises StoreError as the store does."""

    def __init__(self, *, links: RedisLinks) -> None:
        self._links = links
        self._leases = f"{links.prefix}leases"

    async def hold(
        self,
        key: str,
        *,
        chain: str,
        hop: int,
        life: int,
        lane: Lane,
        first_seen: int,
        tenant: str = "",
        claim: str = "",
    ) -> Held:
        outcome, whose, wanted, adopted = await self._links.run(
            HOLD,
            keys=[self._lease(key), self._leases],
            args=[key, chain, hop, life, lane, first_seen, tenant, claim],
            doing=f"hold {key}",
        )
        return Held(
            Hold(outcome.decode()), whose.decode(), Lane(wanted.decode()), adopted=bool(adopted)
        )

    async def renew(self, key: str, *, chain: str, life: int) -> bool:
        keys = [self._lease(key), self._leases]
        return bool(
            await self._links.run(RENEW, keys=keys, args=[key, chain, life], doing=f"renew {key}")
        )

    async def place(self, key: str, *, chain: str, most: int) -> bool:
        keys = [self._lease(key), self._leases]
        return bool(
            await self._links.run(
                PLACE, keys=keys, args=[key, chain, most], doing=f"take a place for {key}"
            )
        )

    async def room(self, *, most: int) -> bool:
        return bool(
            await self._links.run(ROOM, keys=[self._leases], args=[most], doing="look for a place")
        )

    async def holder(self, key: str) -> Holder | None:
        chain, lane, seen = await self._links.run(
            HOLDER, keys=[self._lease(key)], args=[], doing=f"see who holds {key}"
        )
        return Holder(chain.decode(), Lane(lane.decode()), int(seen)) if chain else None

    async def release(self, key: str, *, chain: str) -> None:
        await self._links.run(
            RELEASE, keys=[self._lease(key), self._leases], args=[key, chain], doing=f"end {key}"
        )

    async def oldest(self) -> dict[Lane, int]:
        return _by_lane(
            await self._links.run(
                OLDEST_LEASES, keys=[self._leases], args=[], doing="find the oldest scan"
            )
        )

    def _lease(self, key: str) -> str:
        return f"{self._links.prefix}lease:{key}"


def _by_lane(pairs: list[bytes]) -> dict[Lane, int]:
    return {
        Lane(lane.decode()): int(float(seen))
        for lane, seen in zip(pairs[::2], pairs[1::2], strict=True)
    }
