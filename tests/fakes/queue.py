"""A queue in process that remembers what was published."""

from shared.adapters.memory.queue import MemoryQueue
from shared.domain.step import Step
from shared.ports.clock import Clock


class RememberingQueue(MemoryQueue):
    """Remembers each step that it took."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.published: list[Step] = []

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        await super().publish(step, delay=delay, expires_in=expires_in)
        self.published.append(step)
