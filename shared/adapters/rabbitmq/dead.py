"""The dead letters of the queue on RabbitMQ."""

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from shared.adapters.handling import MAX_DEAD
from shared.adapters.letters import dead_letter, first_attempt
from shared.adapters.rabbitmq.look import Look, look
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.errors import QueueUnavailable, QueueUnconfirmed
from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.ports.steps import DeadLetter

log = logging.getLogger(__name__)

LOOK_TIME = 10.0
"""Seconds that a look may take, its turn among others included; 10 000 letters take about one."""

CONNECT = 3.0
"""Seconds for a connection, where there is none yet."""


class RabbitDeadLetters:
    """`DeadLetters` of a `RabbitQueue`, on its connection for consuming.

    Each call looks at all of them (`look.py`), for `patience` seconds at most. QueueUnconfirmed
    of `requeue` may also mean that the step is queued, and the letter perhaps not gone.
    """

    def __init__(self, *, queue: RabbitQueue, clock: Clock, patience: float = LOOK_TIME) -> None:
        self._queue = queue
        self._clock = clock
        self._patience = patience
        self._lanes = {queue.topology.lane(lane): lane for lane in Lane}

    async def letters(self, *, limit: int) -> list[DeadLetter]:
        """The oldest first, as far as they could be looked at in time."""
        limit = min(max(0, limit), MAX_DEAD)
        names, oldest = _Names(), list[DeadLetter]()

        def see(message: AbstractIncomingMessage) -> bool:
            oldest.append(self._letter(names.name(message), message))
            if len(oldest) > 2 * limit:
                _cut(oldest, limit)
            return False

        async with self._look() as looking:
            if not await looking.through(see):
                if not looking.seen:
                    raise self._unseen(looking)
                log.warning("not all dead letters were looked at: %s", self._unseen(looking))
        _cut(oldest, limit)
        return oldest

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """That one, if it is there; QueueUnavailable when not all could be looked at."""
        async with self._look() as looking:
            found = await self._find(looking, letter_id)
        return None if found is None else self._letter(letter_id, found)

    async def requeue(self, letter_id: str) -> bool:
        """Publish its step, then remove it; what raises leaves it there."""
        async with self._look() as looking:
            found = await self._find(looking, letter_id)
            if found is None:
                return False
            await self._queue.publish(first_attempt(found.body, now=self._clock.now()))
            try:
                await looking.settle(found)
            except QueueUnavailable as error:
                raise QueueUnconfirmed(
                    f"the step of dead letter {letter_id} is queued, but the letter may be there "
                    f"still, to be dropped ({error})"
                ) from error
        return True

    async def drop(self, letter_id: str) -> bool:
        """Remove it; QueueUnavailable when the broker does not answer that it did."""
        async with self._look() as looking:
            found = await self._find(looking, letter_id)
            if found is None:
                return False
            await looking.settle(found)
        return True

    @asynccontextmanager
    async def _look(self) -> AsyncIterator[Look]:
        link = await self._queue.consuming(timeout=CONNECT)
        dead = self._queue.topology.dead
        with self._queue.healing():
            async with look(link, dead, timeout=self._patience) as looking:
                yield looking

    async def _find(self, looking: Look, letter_id: str) -> AbstractIncomingMessage | None:
        names, found = _Names(), list[AbstractIncomingMessage]()

        def see(message: AbstractIncomingMessage) -> bool:
            if names.name(message) == letter_id:
                found.append(message)
            return bool(found)

        if not await looking.through(see):
            raise self._unseen(looking)
        return found[0] if found else None

    def _unseen(self, looking: Look) -> QueueUnavailable:
        dead = self._queue.topology.dead
        if not looking.seen:
            return QueueUnavailable(
                f"{dead}: somebody else has had it for {self._patience:g} s: try again, and see "
                "who consumes from it (rabbitmqctl list_consumers)"
            )
        return QueueUnavailable(
            f"{dead}: only {looking.seen} dead letters could be looked at in "
            f"{self._patience:g} s: try again when the broker is less busy"
        )

    def _letter(self, letter_id: str, message: AbstractIncomingMessage) -> DeadLetter:
        death = _last_death(message)
        queue = _text(death.get("queue"))
        died_at = death.get("time")
        return dead_letter(
            letter_id,
            lane=self._lanes.get(queue, queue),
            reason=_text(death.get("reason")),
            died_at=round(died_at.timestamp() * 1000) if isinstance(died_at, datetime) else None,
            body=message.body,
        )


class _Names:
    """Names letters in the order of the queue, by all that makes them what they are.

    A message's own id is none: a stranger may have chosen it, or left it out, and one who gave
    his message the id of another could have that one dropped instead. What is equal in
    everything is one message that the broker dead-lettered twice; which is which does not matter.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def name(self, message: AbstractIncomingMessage) -> str:
        """Sixteen hexadecimal digits, and `-2` behind the second of the same."""
        death = _last_death(message)
        told = repr((message.message_id, [str(death.get(key)) for key in _TOLD])).encode()
        digest = hashlib.sha256(hashlib.sha256(told).digest() + message.body).hexdigest()[:16]
        self._seen[digest] += 1
        return digest if self._seen[digest] == 1 else f"{digest}-{self._seen[digest]}"


_TOLD = ("queue", "reason", "time")


def _last_death(message: AbstractIncomingMessage) -> dict[str, Any]:
    """What the broker tells of a message's last death; strangers may have written anything."""
    deaths = message.headers.get("x-death")
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    return last if isinstance(last, dict) else {}


def _text(told: object) -> str:
    return told if isinstance(told, str) else ""


def _cut(letters: list[DeadLetter], limit: int) -> None:
    """Keep the oldest, in order; who does not tell when it died stands behind.

    The queue's own order is none: a look at a part of it puts that part behind the rest.
    """
    letters.sort(key=lambda letter: (letter.died_at is None, letter.died_at or 0))
    del letters[limit:]
