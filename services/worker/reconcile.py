"""The reconciler: what was claimed but never begun is published again.

A claim whose publish failed, a broker that lost its queue, a message that nobody confirmed:
each leaves a remembered step behind (docs/design/behaviour.md 2). A copy costs little: the
worker that begins it finds the scan under way or the verdict there.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable

import msgspec

from shared.domain.errors import ImagegateError, QueueError, StoreError
from shared.domain.step import Step, StepKind
from shared.ports.claims import RequestClaims
from shared.ports.clock import Clock
from shared.ports.steps import StepQueue

log = logging.getLogger(__name__)

OVERDUE = 15_000
"""Milliseconds without being begun."""

FORGET = 3_600_000
"""Milliseconds after which nobody waits for it any more: it is asked for again when needed."""

BATCH = 200

BUSY = 200
"""Steps ready in a lane from which on what is overdue there is taken to stand in the line: copies
would make the line longer the slower it is, until the lane is full and refuses everybody. A step
that was lost meanwhile is asked for again by whoever waits for it, or published once the line
is short."""


class Reconciler:
    """Publishes overdue requests again. The leader does; several at once would do no harm."""

    def __init__(
        self,
        *,
        claims: RequestClaims,
        queue: StepQueue,
        clock: Clock,
        every: float = 5.0,
        overdue: int = OVERDUE,
        on_step: Callable[[Step], None] = lambda step: None,
    ) -> None:
        """`every` in seconds, `overdue` in milliseconds; `on_step` is told of each that was
        published again."""
        self._claims = claims
        self._queue = queue
        self._clock = clock
        self._every = every
        self._overdue = overdue
        self._on_step = on_step
        self._told: set[type[ImagegateError]] = set()
        """Kinds of failures since it went well, each of which was said."""

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.once()
            except (StoreError, QueueError) as error:
                self._cannot(error)
            else:
                self._can()

    async def once(self) -> int:
        """One round; how many steps were published again."""
        published = 0
        # First, because what is named and not published waits for its next turn.
        busy = {lane.lane for lane in (await self._queue.depths()).lanes if lane.ready >= BUSY}
        for step in await self._claims.overdue(age=self._overdue, limit=BATCH):
            # A check is never remembered: whoever may write requests must not begin in the middle.
            old = self._clock.now() - step.first_seen > FORGET
            if step.kind is not StepKind.REQUEST or old:
                await self._claims.begin(step.claim)
                continue
            if step.lane in busy:
                continue
            await self._queue.publish(msgspec.structs.replace(step, id=uuid.uuid4().hex))
            published += 1
            self._on_step(step)
            log.info("published again", extra={"image": step.reference, "claim": step.claim})
        return published

    def _cannot(self, error: StoreError | QueueError) -> None:
        """Each kind is said once an outage: it is tried again every few seconds."""
        if type(error) not in self._told:
            log.warning("cannot reconcile, tried again every %g s: %s", self._every, error)
        self._told.add(type(error))

    def _can(self) -> None:
        if self._told:
            log.info("reconciles again")
        self._told.clear()
