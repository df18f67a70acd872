"""What the suites of every queue run against: a queue under test, and those who use it."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aio_pika
import msgspec

from shared.adapters.handling import QueueEvent
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.rabbitmq.dead import RabbitDeadLetters
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.step import VERSION, Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.carried import Carried
from shared.ports.steps import DeadLetters, Ended, Handler, Settle, StepQueue
from shared.runtime.clock import SystemClock
from tests.waiting import PATIENCE, eventually


class Queue(StepQueue, Protocol):
    @property
    def carried(self) -> Carried: ...


class Subject:
    """A queue under test with its dead letters, and what a test may do behind its back."""

    queue: Queue
    dead: DeadLetters

    def __init__(self) -> None:
        self.events: Counter[tuple[QueueEvent, Lane]] = Counter()

    def count(self, event: QueueEvent, lane: Lane) -> None:
        self.events[event, lane] += 1

    def another(self) -> AbstractAsyncContextManager[Queue]:
        """The queue as another process sees it; the same one where there is only one process."""
        raise NotImplementedError

    def another_looker(self) -> AbstractAsyncContextManager[DeadLetters]:
        """The dead letters as another process sees them."""
        raise NotImplementedError

    async def put_raw(self, lane: Lane, body: bytes) -> None:
        raise NotImplementedError


class MemorySubject(Subject):
    def __init__(self, *, max_ready: int | None) -> None:
        super().__init__()
        clock = SystemClock()
        self.queue = self.memory = MemoryQueue(
            clock=clock, max_ready=max_ready, on_event=self.count
        )
        self.dead = MemoryDeadLetters(queue=self.memory, clock=clock)

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Queue]:
        yield self.memory

    @asynccontextmanager
    async def another_looker(self) -> AsyncIterator[DeadLetters]:
        yield self.dead

    async def put_raw(self, lane: Lane, body: bytes) -> None:
        self.memory.publish_raw(lane, body)


class RabbitSubject(Subject):
    def __init__(self, url: str, *, max_ready: int | None) -> None:
        super().__init__()
        self.url = url
        self.prefix = f"test-{uuid.uuid4().hex[:8]}"
        self.max_ready = max_ready
        self.queue = self.rabbit = self.make()
        self.dead = RabbitDeadLetters(queue=self.rabbit, clock=SystemClock())

    def make(self) -> RabbitQueue:
        return RabbitQueue(
            self.url,
            clock=SystemClock(),
            prefix=self.prefix,
            confirm_timeout=PATIENCE,
            max_ready=self.max_ready,
            on_event=self.count,
        )

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Queue]:
        async with self.connected(self.make()) as queue:
            yield queue

    @asynccontextmanager
    async def another_looker(self) -> AsyncIterator[DeadLetters]:
        async with self.connected(self.make()) as queue:
            yield RabbitDeadLetters(queue=queue, clock=SystemClock())

    @asynccontextmanager
    async def connected(self, queue: RabbitQueue) -> AsyncIterator[RabbitQueue]:
        async with queue.connect():
            await queue.connected(timeout=PATIENCE)
            yield queue

    async def put_raw(self, lane: Lane, body: bytes) -> None:
        async with await aio_pika.connect(self.url) as connection, connection.channel() as channel:
            await channel.default_exchange.publish(
                aio_pika.Message(body), routing_key=f"{self.prefix}.{lane}"
            )


Make = Callable[..., AbstractAsyncContextManager[Subject]]


def maker(url: str) -> Make:
    """Makes a queue of its own, usable inside the block; in this process without a broker's URL."""

    @asynccontextmanager
    async def made(*, max_ready: int | None = None) -> AsyncIterator[Subject]:
        if not url:
            yield MemorySubject(max_ready=max_ready)
            return
        subject = RabbitSubject(url, max_ready=max_ready)
        async with subject.connected(subject.rabbit):
            yield subject

    return made


def a_step(lane: Lane = Lane.ADMISSION, **changes: object) -> Step:
    step = Step(
        id=uuid.uuid4().hex,
        kind=StepKind.RESOLVE if lane is Lane.RESOLVE else StepKind.REQUEST,
        lane=lane,
        reference="registry.example/team/app:1",
        question=Question(),
        first_seen=1_700_000_000_000,
        why=Why.ADMISSION,
        v=VERSION,
    )
    return msgspec.structs.replace(step, **changes)


class Recorder:
    """A handler that remembers what it got, and when that was handed to the queue.

    It ends after `work` seconds, and not before `go` is set.
    """

    def __init__(self, settle: Settle = Settle.ACK, work: float = 0.0) -> None:
        self.steps: list[Step] = []
        self.queued: list[int] = []
        self.ended: list[Step] = []
        self.running = 0
        self.most = 0
        self.go = asyncio.Event()
        self.go.set()
        self._settle = settle
        self._work = work

    async def __call__(self, step: Step) -> Settle:
        self.steps.append(msgspec.structs.replace(step, queued=0))
        self.queued.append(step.queued)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self._work)
            await self.go.wait()
        finally:
            self.running -= 1
        self.ended.append(step)
        return self._settle


@asynccontextmanager
async def consuming(
    queue: StepQueue, lane: Lane, handler: Handler, *, concurrency: int = 4
) -> AsyncIterator["asyncio.Task[None]"]:
    """A consumer that is cancelled at the end, as one whose process dies."""
    task = asyncio.create_task(queue.consume(lane, handler, concurrency=concurrency))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait for what has to happen; what must not happen is given a moment only."""
    await eventually(condition)


async def ready(queue: StepQueue, lane: Lane) -> int:
    depths = await queue.depths()
    return next(depth.ready for depth in depths.lanes if depth.lane is lane)


async def dead(queue: StepQueue) -> int:
    return (await queue.depths()).dead


def done(*letters: str) -> Ended:
    """All of these were requeued or dropped."""
    return Ended(done=letters, missing=(), failed={})


def missing(*letters: str) -> Ended:
    """None of these was there."""
    return Ended(done=(), missing=letters, failed={})
