"""Where an intake puts what it asks for; it can be away, slow and full."""

import asyncio
from collections.abc import Sequence

from shared.adapters.memory.claims import MemoryRequestClaims
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import QueueFull, StoreError
from shared.domain.step import Step
from shared.domain.verdict import Question
from shared.ports.claims import Claim
from tests.fakes.clock import FakeClock


class Claims(MemoryRequestClaims):
    """Claims that can be away or slow, and count what they are asked."""

    trouble: StoreError | None = None
    wait = 0.0
    asked = 0
    at_once = most_at_once = 0

    async def claim(self, key: str, step: Step, *, life: int, scans: Sequence[str] = ()) -> Claim:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.wait)
        finally:
            self.at_once -= 1
        if self.trouble is not None:
            raise self.trouble
        return await super().claim(key, step, life=life, scans=scans)

    async def drop(self, key: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        await super().drop(key)


class Queue(MemoryQueue):
    """A queue that can refuse, and keeps what it took."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.trouble: Exception | None = None
        self.refused: list[Question] = []
        self.wait = 0.0
        self.steps: list[Step] = []

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        await asyncio.sleep(self.wait)
        if self.trouble is not None:
            raise self.trouble
        if step.question in self.refused:
            raise QueueFull("full")
        await super().publish(step, delay=delay, expires_in=expires_in)
        self.steps.append(step)
