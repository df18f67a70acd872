"""The dead letters of the queue on RabbitMQ."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import compress, islice
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from shared.adapters.letters import Endings, dead_letter, first_attempt
from shared.adapters.rabbitmq.look import MAX_TAKEN, STROKES, Look, look
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.errors import InvalidStep, QueueError, QueueUnavailable, QueueUnconfirmed
from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.ports.steps import MAX_DEAD, DeadLetter, Ended

log = logging.getLogger(__name__)

LOOK_TIME = 10.0
"""Seconds that a look may take, its turn among others included; 10 000 letters take one to five."""

AT_ONCE = MAX_TAKEN // (STROKES - 2)
"""Letters that are requeued side by side: so many steps may be doubled when we die half-way."""

MAY_BE_DOUBLED = "its step is queued, but the letter may be there still, to be dropped"
MAY_BE_THERE = "it may be there still: look, and drop it again"

Messages = dict[str, AbstractIncomingMessage]
"""Letters in hand, by id."""

CONNECT = 3.0
"""Seconds for a connection, where there is none yet."""


class RabbitDeadLetters:
    """`DeadLetters` of a `RabbitQueue`, on its connection for consuming.

    Each call looks at all of them once (`look.py`), for `patience` seconds at most. To requeue
    or drop what was found has its own time: a broker that does not answer ends it.
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
            found = await self._find(looking, [letter_id])
        return self._letter(letter_id, found[letter_id]) if found else None

    async def requeue(self, letter_ids: Collection[str]) -> Ended:
        """Publish their steps, then remove them; what fails on the way leaves a letter there."""
        endings = Endings(letter_ids)
        async with self._look() as looking:
            for part in _parts(await self._meant(looking, endings)):
                queued = await self._publish(part, endings)
                await self._remove(looking, queued, endings, doubt=MAY_BE_DOUBLED)
                if endings.broken:
                    break
        return endings.told()

    async def drop(self, letter_ids: Collection[str]) -> Ended:
        """Remove them; one is done when the broker has answered that it is."""
        endings = Endings(letter_ids)
        async with self._look() as looking:
            found = await self._meant(looking, endings)
            await self._remove(looking, found, endings, doubt=MAY_BE_THERE)
        return endings.told()

    @asynccontextmanager
    async def _look(self) -> AsyncIterator[Look]:
        link = await self._queue.consuming(timeout=CONNECT)
        dead = self._queue.topology.dead
        with self._queue.healing():
            async with look(link, dead, timeout=self._patience) as looking:
                yield looking

    async def _meant(self, looking: Look, endings: Endings) -> Messages:
        """Those that are there, in the order in which they are meant."""
        found = await self._find(looking, endings.ids)
        endings.missing(one for one in endings.ids if one not in found)
        return {one: found[one] for one in endings.ids if one in found}

    async def _find(self, looking: Look, letter_ids: Collection[str]) -> Messages:
        """Those that are there, by id; QueueUnavailable when not all could be looked at."""
        names, wanted = _Names(), set(letter_ids)
        found: Messages = {}

        def see(message: AbstractIncomingMessage) -> bool:
            name = names.name(message)
            if name in wanted:
                found[name] = message
            return len(found) == len(wanted)

        if not await looking.through(see):
            raise self._unseen(looking)
        return found

    async def _publish(self, letters: Messages, endings: Endings) -> Messages:
        """Queue their steps side by side; those of them that the broker confirmed."""
        queued = await asyncio.gather(
            *(self._published(*letter, endings) for letter in letters.items())
        )
        return dict(compress(letters.items(), queued))

    async def _published(
        self, letter_id: str, message: AbstractIncomingMessage, endings: Endings
    ) -> bool:
        try:
            await self._queue.publish(first_attempt(message.body, now=self._clock.now()))
        except (InvalidStep, QueueError) as error:
            endings.failed(letter_id, error)
            return False
        return True

    async def _remove(
        self, looking: Look, letters: Messages, endings: Endings, *, doubt: str
    ) -> None:
        if not letters:
            return
        try:
            await looking.settle(letters.values())
        except QueueUnavailable as error:
            for letter_id in letters:
                endings.failed(letter_id, QueueUnconfirmed(f"{doubt} ({error})"))
        else:
            endings.done(letters)

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


def _parts(letters: Messages) -> Iterator[Messages]:
    """First one alone, which finds out whether the broker takes any; then AT_ONCE of them."""
    left = iter(letters.items())
    part = dict(islice(left, 1))
    while part:
        yield part
        part = dict(islice(left, AT_ONCE))


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
