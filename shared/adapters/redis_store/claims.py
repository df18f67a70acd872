"""Request claims and scan records in Redis (docs/design/protocol.md)."""

import logging
import uuid
from collections.abc import Sequence

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts import (
    BEGIN,
    CLAIM,
    DROP,
    HOLD,
    OLDEST_LEASES,
    OLDEST_STEPS,
    OVERDUE,
    RELEASE,
)
from shared.domain.errors import InvalidStep
from shared.domain.step import Lane, Step, decode_step, encode_step
from shared.ports.claims import Claim, Hold

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
        answer: bytes = await self._links.run(
            CLAIM,
            keys=[self._claim(key), self._steps, *leases],
            args=[
                key,
                f"{step.lane} {step.id} {uuid.uuid4().hex}",
                life,
                step.lane,
                step.first_seen,
                encode_step(step),
                self._max_remembered,
            ],
            doing=f"claim {key}",
        )
        return Claim(answer.decode())

    async def drop(self, key: str) -> None:
        await self._links.run(DROP, keys=[self._claim(key)], args=[], doing=f"drop {key}")

    async def begin(self, key: str) -> None:
        await self._links.run(
            BEGIN, keys=[self._claim(key), self._steps], args=[key], doing=f"begin {key}"
        )

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


class RedisScanLeases:
    """A `shared.ports.claims.ScanLeases`. Raises StoreError as the store does."""

    def __init__(self, *, links: RedisLinks) -> None:
        self._links = links
        self._leases = f"{links.prefix}leases"

    async def hold(
        self, key: str, *, chain: str, hop: int, life: int, lane: Lane, first_seen: int
    ) -> Hold:
        answer: bytes = await self._links.run(
            HOLD,
            keys=[self._lease(key), self._leases],
            args=[key, chain, hop, life, lane, first_seen],
            doing=f"hold {key}",
        )
        return Hold(answer.decode())

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
