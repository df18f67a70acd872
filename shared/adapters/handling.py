"""What every queue does with a message of a lane: read it, hand it over, say how it ends."""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.errors import InvalidStep
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, Step, decode_step
from shared.ports.carried import Carried
from shared.ports.clock import Clock
from shared.ports.steps import Handler, Settle

log = logging.getLogger(__name__)

MAX_READY = 10_000
MAX_READY_RESOLVE = 5_000
"""Messages that may stand in a lane (docs/design/broker-facts.md 7)."""

RESOLVE_LIFE = 5.0
"""Seconds that a resolve step lives at most: nobody waits longer."""


CLOCKS_APART = 5_000
"""Milliseconds that the clocks of asker and worker may differ, as the store allows a record
(`shared.ports.verdicts.MAX_AHEAD`). The deadline is the asker's time, and a worker whose clock is
half a second ahead would else drop every question."""


class QueueEvent(StrEnum):
    """What happened to a delivery, for counters."""

    BAD_MESSAGE = "bad_message"
    HANDLER_FAILED = "handler_failed"
    DEAD = "dead"
    """The handler asked for it."""
    EXPIRED = "expired"
    REDELIVERED = "redelivered"
    """The broker had handed the step to somebody before."""
    COPY = "copy"
    """A redelivered step that this process has in hand, or has done, already."""
    STALE = "stale"
    """A settlement that could not be sent: the step is delivered again."""
    REFUSED_LATE = "refused_late"
    """A step that the broker refused after its publisher had gone on."""


OnEvent = Callable[[QueueEvent, Lane], None]


def ignore(_event: QueueEvent, _lane: Lane) -> None:
    """Count nothing."""


def cap(lane: Lane, *, max_ready: int | None) -> int:
    """How many steps may stand in `lane`; `max_ready` is for every lane where it is given."""
    if max_ready is not None:
        return max_ready
    return MAX_READY_RESOLVE if lane is Lane.RESOLVE else MAX_READY


def check_publish(step: Step, *, delay: int, expires_in: float | None) -> None:
    """Raise ValueError for what no queue can carry; each is a mistake in our own code."""
    if delay and delay not in DELAYS:
        raise ValueError(f"there is no delay of {delay} s, only {DELAYS}")
    if expires_in is not None and (delay or step.lane is not Lane.RESOLVE):
        raise ValueError(f"only undelayed steps of the resolve lane expire, not {step.lane}")


def handed_over(step: Step, *, delay: int, now: int) -> Step:
    """The step as it goes into the queue at `now` (ms), to be taken after `delay` seconds."""
    return msgspec.structs.replace(step, queued=now + 1000 * delay)


class Handling:
    """One lane's handler, behind all that may be wrong with a message."""

    def __init__(
        self, *, lane: Lane, handler: Handler, clock: Clock, carried: Carried, on_event: OnEvent
    ) -> None:
        self.lane = lane
        self._handler = handler
        self._clock = clock
        self._carried = carried
        self._on_event = on_event

    def read(self, message: bytes) -> Step | Settle:
        """The step to run, or how a message that is not to be run ends."""
        try:
            step = self._of_this_lane(decode_step(message))
        except InvalidStep as error:
            log.error("bad message in lane %s, to the dead letters: %s", self.lane, error)
            self.count(QueueEvent.BAD_MESSAGE)
            return Settle.DEAD
        if self._nobody_waits(step):
            self.count(QueueEvent.EXPIRED)
            return Settle.ACK
        return step

    async def run(self, step: Step) -> Settle:
        """Run the handler; what it raises makes a dead letter, our own cancellation passes."""
        self._carried.delivered(step)
        try:
            settle = await self._handler(step)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed(step, "it was cancelled from inside")
            return Settle.DEAD
        except Exception as error:
            self._failed(step, f"{type(error).__name__}: {error}", error)
            return Settle.DEAD
        if settle is Settle.DEAD:
            self.count(QueueEvent.DEAD)
        return settle

    def in_hand(self, delivery: asyncio.Task[Any]) -> None:
        """Count a delivery as in hand until its task ends, however that ends."""
        self._carried.taken(self.lane)
        delivery.add_done_callback(lambda _: self._carried.settled(self.lane))

    def count(self, event: QueueEvent) -> None:
        """Tell whoever counts."""
        self._on_event(event, self.lane)

    def _of_this_lane(self, step: Step) -> Step:
        """Raises InvalidStep for another lane's: who may write to one lane has no say in others."""
        if step.lane is not self.lane:
            raise InvalidStep(f"the step is for lane {step.lane}, and came in {self.lane}")
        return step

    def _nobody_waits(self, step: Step) -> bool:
        """The broker's expiry does not touch what is prefetched already (broker-facts.md 8.2)."""
        if self.lane is not Lane.RESOLVE or step.deadline is None:
            return False
        return step.deadline + CLOCKS_APART < self._clock.now()

    def _failed(self, step: Step, why: str, error: Exception | None = None) -> None:
        log.error(
            "handler of lane %s failed, step to the dead letters: %s",
            self.lane,
            why,
            exc_info=error,
            extra={"step": step.id, "kind": step.kind, "reference": step.reference},
        )
        self.count(QueueEvent.HANDLER_FAILED)
