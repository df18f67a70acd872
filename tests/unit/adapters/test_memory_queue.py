"""What the queue in memory has beside the contract: its caps, that of the dead letters too."""

import asyncio

import pytest

from shared.adapters.handling import QueueEvent
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import QueueFull
from shared.domain.step import Lane, Step
from shared.ports.steps import Settle
from shared.runtime.clock import SystemClock

pytestmark = pytest.mark.virtual_time


async def never(_step: Step) -> Settle:
    raise AssertionError("no step was published")


async def read_all(bodies: list[bytes], lane: Lane, *, max_dead: int) -> MemoryQueue:
    """A queue of which a consumer has read these messages, none of which is a step."""
    events: asyncio.Queue[QueueEvent] = asyncio.Queue()
    queue = MemoryQueue(
        clock=SystemClock(),
        max_dead=max_dead,
        on_event=lambda event, _lane: events.put_nowait(event),
    )
    for body in bodies:
        queue.publish_raw(lane, body)
    consumer = asyncio.create_task(queue.consume(lane, never, concurrency=1))
    for _ in bodies:
        assert await events.get() is QueueEvent.BAD_MESSAGE
    await queue.drain(timeout=1)
    await consumer
    return queue


async def test_dead_letters_are_kept_and_the_oldest_go_first() -> None:
    queue = await read_all([b"one", b"two", b"three"], Lane.CHECK, max_dead=2)
    letters = await MemoryDeadLetters(queue=queue, clock=SystemClock()).letters(limit=10)
    assert [letter.body for letter in letters] == [b"two", b"three"]


async def test_a_bad_resolve_message_is_no_dead_letter() -> None:
    queue = await read_all([b"one"], Lane.RESOLVE, max_dead=2)
    assert (await queue.depths()).dead == 0


@pytest.mark.parametrize(
    ("lane", "cap"), [(Lane.RESOLVE, 5_000), (Lane.ADMISSION, 10_000), (Lane.CHECK, 10_000)]
)
async def test_lanes_have_the_caps_of_the_broker(lane: Lane, cap: int) -> None:
    queue = MemoryQueue(clock=SystemClock())
    for _ in range(cap):
        queue.publish_raw(lane, b"")
    with pytest.raises(QueueFull, match=str(cap)):
        queue.publish_raw(lane, b"")
