"""Handing a step on: the request claim, then the queue, each of which may be away.

The order of operations is the webhook's (docs/design/protocol.md).
"""

import contextlib

from services.intake.pushes import Taken
from shared.domain.errors import QueueError, QueueUnconfirmed, StoreError
from shared.domain.step import Step
from shared.ports.claims import Claim, RequestClaims
from shared.ports.steps import StepQueue

CLAIM_LIFE = 30_000
"""Milliseconds; the worker that begins the request deletes it sooner."""

WORST_FIRST = (Taken.AWAY, Taken.REMEMBERED, Taken.QUEUED, Taken.UNDER_WAY)
"""An image about which several questions are asked counts as the worst that befell one."""


class Asking:
    """Asks for steps; never raises for a dead store or queue."""

    def __init__(self, *, claims: RequestClaims, queue: StepQueue) -> None:
        self._claims = claims
        self._queue = queue

    async def ask(self, step: Step, fates: dict[str, Taken], troubles: dict[str, str]) -> None:
        """Claim, where the step has a claim, and publish.

        `fates` holds by the step's id what has become of it so far, should the caller's time end
        on the way; `troubles` what was away (`store`, `queue`), as the last of them said it.
        """
        fates[step.id] = await self._claim(step, troubles) if step.claim else Taken.AWAY
        if fates[step.id] is not Taken.UNDER_WAY:
            fates[step.id] = await self._publish(step, fates[step.id], troubles)

    async def _claim(self, step: Step, troubles: dict[str, str]) -> Taken:
        try:
            claim = await self._claims.claim(step.claim, step, life=CLAIM_LIFE)
        except StoreError as error:
            troubles["store"] = str(error)
            return Taken.AWAY
        # With the claim the store remembers the step.
        return Taken.REMEMBERED if claim is Claim.TAKEN else Taken.UNDER_WAY

    async def _publish(self, step: Step, kept: Taken, troubles: dict[str, str]) -> Taken:
        """Queue it; `kept` is what it stays where the queue does not take it."""
        try:
            await self._queue.publish(step)
        except QueueError as error:
            troubles["queue"] = str(error)
            # Unconfirmed it may still arrive, and its claim ends by itself.
            if kept is Taken.REMEMBERED and not isinstance(error, QueueUnconfirmed):
                with contextlib.suppress(StoreError):
                    await self._claims.drop(step.claim)
            return kept
        return Taken.QUEUED
