"""The queue of steps."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from shared.domain.step import Lane, Step


class Settle(StrEnum):
    """How a handler ends a delivery."""

    ACK = "ack"
    DEAD = "dead"
    """To the dead letters."""


Handler = Callable[[Step], Awaitable[Settle]]


class LaneDepth(msgspec.Struct, frozen=True):
    """How much stands in a lane."""

    lane: Lane
    ready: int
    unacknowledged: int | None = None
    """None where the broker does not tell."""
    consumers: int = 0


class Depths(msgspec.Struct, frozen=True):
    """How much stands in the whole queue."""

    lanes: tuple[LaneDepth, ...]
    delayed: dict[int, int]
    """By delay in seconds."""
    dead: int


class StepQueue(Protocol):
    """Lanes, delays and dead letters (docs/design/behaviour.md 5, broker-facts.md 7).

    Guarantees: a published step is delivered at least once, to its lane, after its delay;
    a step that a dead or cancelled consumer had in hand is delivered again; a handler that
    raises, and a message that is no step, end among the dead letters; at most `concurrency`
    handlers of one `consume` run at once. Steps in the resolve lane may be lost and vanish
    when they expire.

    Errors of `publish`: QueueFull, QueueUnavailable (both: certainly not queued),
    QueueUnconfirmed (may still arrive).
    """

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        """Queue `step` in `step.lane`, confirmed; after `delay` seconds, one of
        `shared.domain.retry.DELAYS`. `expires_in` (seconds) is for the resolve lane only."""

    async def consume(self, lane: Lane, handler: Handler, *, concurrency: int) -> None:
        """Hand deliveries to `handler` until drained; returns when drained."""

    async def drain(self, *, timeout: float) -> None:
        """Take no more; let handlers end for `timeout` seconds; cancel the rest, whose steps
        are delivered again."""

    async def depths(self) -> Depths:
        """How much stands where, now."""

    async def ping(self) -> None:
        """A real question to the broker; raises QueueUnavailable."""
