"""The dead letters of the queue in this process."""

from collections.abc import Collection

from shared.adapters.letters import Endings, dead_letter, first_attempt
from shared.adapters.memory.pile import Dead
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import InvalidStep, QueueError
from shared.ports.clock import Clock
from shared.ports.steps import DeadLetter, Ended


class MemoryDeadLetters:
    """`DeadLetters` of a `MemoryQueue`."""

    def __init__(self, *, queue: MemoryQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock

    async def letters(self, *, limit: int) -> list[DeadLetter]:
        """The oldest first."""
        return [_letter(dead) for dead in self._queue.dead.oldest(limit)]

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """That one, if it is there."""
        dead = self._queue.dead.find(letter_id)
        return None if dead is None else _letter(dead)

    async def requeue(self, letter_ids: Collection[str]) -> Ended:
        """Publish each step and remove its letter; what fails leaves it there."""
        endings = Endings(letter_ids)
        for letter_id in endings.ids:
            dead = self._queue.dead.find(letter_id)
            if dead is None:
                endings.missing([letter_id])
                continue
            try:
                await self._queue.publish(first_attempt(dead.body, now=self._clock.now()))
            except (InvalidStep, QueueError) as error:
                endings.failed(letter_id, error)
                if endings.broken:
                    break
            else:
                self._queue.dead.remove(letter_id)
                endings.done([letter_id])
        return endings.told()

    async def drop(self, letter_ids: Collection[str]) -> Ended:
        """Remove them."""
        endings = Endings(letter_ids)
        for letter_id in endings.ids:
            there = self._queue.dead.remove(letter_id)
            (endings.done if there else endings.missing)([letter_id])
        return endings.told()


def _letter(dead: Dead) -> DeadLetter:
    return dead_letter(
        dead.id, lane=dead.lane, reason="rejected", died_at=dead.died_at, body=dead.body
    )
