"""Chains of checks: whose scan record is held, for how long, and what follows.

At most one chain a manifest and question survives (docs/design/protocol.md, S3).
"""

import logging
from collections.abc import Awaitable, Callable

from services.worker.scanning import Scanning, check_lane
from shared.domain.retry import MAX_POLL
from shared.domain.step import Lane, Step
from shared.domain.verdict import Subject, scan_key
from shared.ports.claims import Hold, Holder, ScanLeases

log = logging.getLogger(__name__)

MARGIN = 60
"""Seconds: the wait in a busy lane and a step's budget together."""

LEASE_LIFE = (MAX_POLL + MARGIN) * 1000
"""Milliseconds that a scan record usually lives (docs/adr/0006). A lost message blocks its image
for as long. A retry that waits longer finds its record gone and goes on (adoption), or another
chain's and ends."""

PLACES = 8
"""New analyses that prewarm may have outstanding."""

ANY = 1_000_000
"""More places than there are scans."""

Follow = Callable[[Step, int], Awaitable[None]]
"""Publishes a follow-up after a delay in seconds, and returns once the broker confirmed it."""


class NoPlace(Exception):
    """Prewarm has as many analyses outstanding as it may."""


class Chains:
    """Raises StoreError."""

    def __init__(self, *, leases: ScanLeases, follow: Follow, places: int = PLACES) -> None:
        """`places`: of prewarm's analyses."""
        self._leases = leases
        self._follow = follow
        self._places = places

    async def hold(self, step: Step, subject: Subject, *, chain: str, hop: int) -> Scanning | None:
        """The scan in hand; None where another chain has it, or this one has gone on."""
        held = await self._leases.hold(
            scan_key(subject, step.question),
            chain=chain,
            hop=hop,
            life=LEASE_LIFE,
            lane=check_lane(step),
            first_seen=step.first_seen,
            tenant=step.tenant,
            claim=step.claim,
        )
        if held.outcome is not Hold.HELD:
            log.debug("step %s ends: the scan is %s", step.id, held.outcome)
            return None
        return Scanning(step, subject, chain, hop, held.lane, adopted=held.adopted)

    async def holder(self, step: Step, subject: Subject) -> Holder | None:
        """Whose scan of it is under way."""
        return await self._leases.holder(scan_key(subject, step.question))

    async def go_on(self, scanning: Scanning, delay: int, *, looked: bool = True) -> None:
        """Publish the next check after `delay` seconds, and have the record live as long."""
        life = (delay + MARGIN) * 1000
        if life > LEASE_LIFE:
            await self._leases.renew(scanning.key, chain=scanning.chain, life=life)
        await self._follow(scanning.next_check(looked=looked), delay)

    async def end(self, scanning: Scanning) -> None:
        """End the chain without a record."""
        await self._leases.release(scanning.key, chain=scanning.chain)

    async def take_place(self, scanning: Scanning) -> None:
        """Before the image is analysed; raises NoPlace. People need none."""
        if scanning.lane is Lane.CHECK:
            return
        if not await self._leases.place(scanning.key, chain=scanning.chain, most=self._places):
            raise NoPlace

    async def count_in(self, scanning: Scanning) -> None:
        """Its image is being analysed, and the store has lost count of it: it has a place, though
        there may be none."""
        if scanning.lane is not Lane.CHECK:
            await self._leases.place(scanning.key, chain=scanning.chain, most=ANY)

    async def has_room(self) -> bool:
        """Whether prewarm may have one more image analysed now: a hint."""
        return await self._leases.room(most=self._places)
