"""From a delivery to its end: run the step, and give each failure its one class.

permanent: an error verdict, acked. transient: the same step again after a delay, then acked;
in the end a dead letter. It is the message that dies, and what is in hand does not know why it
failed: so a step that is given up goes round once more, with its whole history, and dies then.
A push of no image: acked. What is no step never gets here
(docs/design/behaviour.md 5).
"""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from services.worker.holdups import Holdups
from shared.domain.errors import (
    InvalidReference,
    NotAnImage,
    PermanentFailure,
    QueueError,
    StoreError,
    StoreUnreachable,
    TakenForDown,
    TransientFailure,
)
from shared.domain.retry import DELAYS, MAX_ATTEMPTS, retry_delay
from shared.domain.step import KINDS, Step, StepKind, failed, given_up
from shared.ports.steps import Settle, StepQueue

log = logging.getLogger(__name__)

STEP_BUDGET = 20.0
"""Seconds that one delivery may take, in-call retries included."""

PUBLISH_PAUSE = 1.0

ROUND = DELAYS[0]
"""Seconds that a step which is given up takes to come back. Never none: a lane that is full of
what waits for room in it would stand still for ever, the delays have no cap."""


class StepOutcome(StrEnum):
    """How a delivery ended, for the metric."""

    DONE = "done"
    RETRIED = "retried"
    GIVEN_UP = "given_up"
    """No attempt is left: its message comes once more, to die."""
    DEAD = "dead"
    DROPPED = "dropped"
    """A resolve that nobody waits for any more."""
    IGNORED = "ignored"
    """A push of what is no image: a chart, a signature."""


class Follower:
    """Publishes follow-ups until the broker has confirmed them.

    Without its follow-up a step must not be acked: it waits here, holding its delivery, until
    the broker takes it or the drain cancels it and the step is delivered again.
    """

    def __init__(self, *, queue: StepQueue, pause: float = PUBLISH_PAUSE) -> None:
        """`pause` (seconds) between two tries."""
        self._queue = queue
        self._pause = pause
        self._holdups = Holdups()

    async def follow(self, step: Step, delay: int) -> None:
        """Queue `step` after `delay` seconds."""
        reason, confirmed = "", False
        try:
            while not confirmed:
                try:
                    await self._queue.publish(step, delay=delay)
                    confirmed = True
                except QueueError as error:
                    reason = self._holdups.waits(error, before=reason)
                    await asyncio.sleep(self._pause)
        finally:
            self._holdups.ends(reason, goes_on=confirmed)


class Steps(Protocol):
    """The work of each kind of step."""

    async def resolve(self, step: Step) -> None: ...
    async def request(self, step: Step) -> None: ...
    async def check(self, step: Step) -> None: ...
    async def wake(self, step: Step) -> None: ...


class Dispatch:
    """The handler of every lane."""

    def __init__(
        self,
        *,
        scan: Steps,
        follower: Follower,
        budget: float = STEP_BUDGET,
        on_taken: Callable[[Step], None] = lambda step: None,
        on_step: Callable[[Step, StepOutcome], None] = lambda step, outcome: None,
    ) -> None:
        self._follower = follower
        self._budget = budget
        self._on_taken = on_taken
        self._on_step = on_step
        self._work = {
            StepKind.RESOLVE: scan.resolve,
            StepKind.REQUEST: scan.request,
            StepKind.CHECK: scan.check,
            StepKind.WAKE: scan.wake,
        }

    async def handle(self, step: Step) -> Settle:
        """Run one delivery to its settlement."""
        self._on_taken(step)
        if step.given_up:
            return self._end(step, StepOutcome.DEAD)
        if step.kind not in KINDS[step.lane]:
            log.error("step %s is a %s, which has no business in %s", step.id, step.kind, step.lane)
            return self._end(step, StepOutcome.DEAD)
        try:
            async with asyncio.timeout(self._budget):
                await self._work[step.kind](step)
        except StoreUnreachable as error:
            # No fault of the step's, and every step's: an outage must not make dead letters of
            # all that was under way. Its last attempt is kept until the store is back.
            return await self._again(_kept(step), str(error), None)
        except TakenForDown as error:
            # Nobody was asked: as with the store.
            return await self._again(_kept(step), str(error), error.retry_after)
        except (TransientFailure, StoreError) as error:
            after = error.retry_after if isinstance(error, TransientFailure) else None
            return await self._again(step, str(error), after)
        except TimeoutError:
            return await self._again(step, f"not done after {self._budget:g} s", None)
        except NotAnImage as error:
            log.info("push ignored: %s", error)
            return self._end(step, StepOutcome.IGNORED)
        except (InvalidReference, PermanentFailure) as error:
            log.error("step %s cannot be done: %s", step.id, error)
            return await self._give_up(step, str(error))
        except Exception as error:
            log.exception("step %s failed", step.id)
            return await self._again(step, f"{type(error).__name__}: {error}", None)
        return self._end(step, StepOutcome.DONE)

    async def _again(self, step: Step, reason: str, after: float | None) -> Settle:
        log.warning(
            "step failed",
            extra={
                "step": step.id,
                "kind": str(step.kind),
                "image": step.reference,
                "attempt": step.attempt,
                "reason": reason,
            },
        )
        if step.kind is StepKind.RESOLVE:
            return self._end(step, StepOutcome.DROPPED)
        delay = retry_delay(step.attempt + 1, retry_after=after)
        if delay is None:
            return await self._give_up(step, reason)
        await self._follower.follow(failed(step, reason), delay)
        return self._end(step, StepOutcome.RETRIED)

    async def _give_up(self, step: Step, reason: str) -> Settle:
        if step.kind is StepKind.RESOLVE:
            # Nothing of its lane is kept, however it ends.
            return self._end(step, StepOutcome.DEAD)
        await self._follower.follow(given_up(step, reason), ROUND)
        return self._end(step, StepOutcome.GIVEN_UP)

    def _end(self, step: Step, outcome: StepOutcome) -> Settle:
        self._on_step(step, outcome)
        return Settle.DEAD if outcome is StepOutcome.DEAD else Settle.ACK


def _kept(step: Step) -> Step:
    """With an attempt left after the next, however many there were."""
    return msgspec.structs.replace(step, attempt=min(step.attempt, MAX_ATTEMPTS - 2))
