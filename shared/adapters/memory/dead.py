"""The dead letters of the queue in this process."""

from shared.adapters.letters import dead_letter, first_attempt
from shared.adapters.memory.pile import Dead
from shared.adapters.memory.queue import MemoryQueue
from shared.ports.clock import Clock
from shared.ports.steps import DeadLetter


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

    async def requeue(self, letter_id: str) -> bool:
        """Publish its step and remove it; what raises (InvalidStep, QueueFull) leaves it there."""
        dead = self._queue.dead.find(letter_id)
        if dead is None:
            return False
        await self._queue.publish(first_attempt(dead.body, now=self._clock.now()))
        return self._queue.dead.remove(letter_id)

    async def drop(self, letter_id: str) -> bool:
        """Remove it."""
        return self._queue.dead.remove(letter_id)


def _letter(dead: Dead) -> DeadLetter:
    return dead_letter(
        dead.id, lane=dead.lane, reason="rejected", died_at=dead.died_at, body=dead.body
    )
