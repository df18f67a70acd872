"""The queue of steps."""

from collections.abc import Awaitable, Callable, Collection
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


MAX_DEAD = 10_000
"""Dead letters that are kept; with more of them the oldest go (docs/design/broker-facts.md 7)."""

MAX_LETTER = 64 * 1024
"""Bytes of a dead letter's message that are kept for people; steps are far smaller."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that could not be handled, kept for people to see."""

    id: str
    """Names it among the dead letters for as long as it is there."""
    lane: str
    """Where it died: a `Lane`, or whatever name the broker tells."""
    reason: str
    """`rejected` (a handler or reader gave it up), `delivery_limit`, or the broker's own word."""
    died_at: int | None
    """When (ms); None where the broker does not tell."""
    body: bytes
    """The message, at most MAX_LETTER bytes of it."""
    step: Step | None = None
    """The message as a step; its `history` says why it failed before. None: it is no step."""


class Ended(msgspec.Struct, frozen=True):
    """What became of dead letters that were to be requeued or dropped, by id."""

    done: tuple[str, ...]
    missing: tuple[str, ...]
    """Not there (any more)."""
    failed: dict[str, str]
    """Why, for people. These are there still, or may be: their texts say so."""


class DeadLetters(Protocol):
    """What no attempt could settle (docs/design/broker-facts.md 1 and 8.7).

    Guarantees: looking changes nothing but the broker's own count of looks; nothing is lost when
    whoever looks, requeues or drops dies half-way; a letter that was requeued or dropped is gone
    once the call has told that it is done; requeueing may deliver a step twice, never not at all.

    Errors: QueueUnavailable, when they could not be looked at: then nothing was done.
    """

    async def letters(self, *, limit: int) -> list[DeadLetter]:
        """At most `limit` dead letters, the oldest first."""

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """The dead letter of that id, or None when it is not there (any more)."""

    async def requeue(self, letter_ids: Collection[str]) -> Ended:
        """Publish their steps to their lanes as first attempts, confirmed, and then remove them.

        In the order of the ids. A message that is no step fails alone; a server that fails (a
        lane is full, the broker goes away) ends it, and what comes after is not tried.
        """

    async def drop(self, letter_ids: Collection[str]) -> Ended:
        """Remove them for good; a broker that fails ends it, as with `requeue`."""


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
        """Queue `step` in `step.lane`, confirmed, with `queued` set; after `delay` seconds, one of
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
