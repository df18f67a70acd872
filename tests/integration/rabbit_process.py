"""A process of ours at a broker that a test maltreats, and what its deliveries came to."""

import asyncio
import contextlib
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from shared.adapters.handling import QueueEvent
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.errors import QueueError, QueueUnavailable
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.ports.steps import Handler, Settle, StepQueue
from shared.runtime.clock import SystemClock
from tests.servers.rabbitmq import RabbitServer
from tests.waiting import PATIENCE, eventually

SETTLED = 3.0
"""Seconds after which a declared queue survives kill -9 (broker-facts.md 3 and 8.23)."""


class Process:
    """One process of ours: a queue object and what happened to its deliveries.

    Its publishes wait for a confirm as long as a busy machine needs for one; who asks what becomes
    of those that get none gives it a shorter `confirm_timeout`.
    """

    def __init__(
        self,
        broker: RabbitServer,
        prefix: str,
        *,
        url: str = "",
        confirm_timeout: float = PATIENCE,
        heartbeat: int = 10,
        doubt: float = 60.0,
        max_ready: int | None = None,
    ) -> None:
        self.events: Counter[QueueEvent] = Counter()
        self.queue = RabbitQueue(
            url or broker.url,
            clock=SystemClock(),
            prefix=prefix,
            confirm_timeout=confirm_timeout,
            heartbeat=heartbeat,
            reconnect_interval=0.5,
            renew_idle=1.0,
            doubt=doubt,
            max_ready=max_ready,
            on_event=self.count,
        )

    def count(self, event: QueueEvent, _lane: Lane) -> None:
        self.events[event] += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RabbitQueue]:
        async with self.queue.connect():
            await self.queue.connected(timeout=PATIENCE)
            yield self.queue


def a_step(lane: Lane = Lane.ADMISSION) -> Step:
    return Step(
        id=uuid.uuid4().hex,
        kind=StepKind.RESOLVE if lane is Lane.RESOLVE else StepKind.REQUEST,
        lane=lane,
        reference="registry.example/team/app:1",
        question=Question(),
        first_seen=1_700_000_000_000,
    )


class Recorder:
    """A handler that counts by step, and that a test may hold up."""

    def __init__(self) -> None:
        self.began: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, step: Step) -> Settle:
        self.began[step.id] += 1
        await self.go.wait()
        self.ended[step.id] += 1
        return Settle.ACK


@asynccontextmanager
async def consuming(queue: StepQueue, lane: Lane, handler: Handler) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.consume(lane, handler, concurrency=8))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    await eventually(condition)


async def passes(question: Callable[[], Awaitable[None]]) -> bool:
    try:
        await question()
    except QueueError:
        return False
    return True


async def publish_until_taken(queue: RabbitQueue, step: Step) -> None:
    await until(lambda: passes(lambda: queue.publish(step)))


async def warm_up(queue: RabbitQueue, got: Recorder) -> None:
    """Both connections are up and at work."""
    step = a_step()
    await publish_until_taken(queue, step)
    await until(lambda: got.ended[step.id] >= 1)


async def fails(queue: RabbitQueue, why: str) -> bool:
    try:
        await queue.ping()
    except QueueUnavailable as error:
        return why in str(error)
    return False


async def is_refused(queue: RabbitQueue, why: str) -> bool:
    """Whether there is no connection for that reason, a regular expression."""
    try:
        await queue.connected(timeout=0.1)
    except QueueUnavailable as error:
        return re.search(why, str(error)) is not None
    return False


async def publish_some(queue: RabbitQueue, count: int) -> None:
    for _ in range(count):
        await queue.publish(a_step())


async def nothing_ready(queue: RabbitQueue) -> bool:
    return all(lane.ready == 0 for lane in (await queue.depths()).lanes)
