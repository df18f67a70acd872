"""What every queue of steps promises (shared.ports.steps), over memory and a real RabbitMQ."""

import asyncio
import contextlib
import time

import msgspec
import pytest

from shared.adapters.handling import CLOCKS_APART, QueueEvent
from shared.domain.errors import QueueFull
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, Step, StepKind
from shared.ports.carried import CarriedSteps
from shared.ports.steps import LaneDepth, Settle
from shared.runtime.clock import SystemClock
from tests.contract.queues import (
    Make,
    Recorder,
    Subject,
    a_step,
    consuming,
    dead,
    ready,
    until,
)
from tests.waiting import PATIENCE


async def test_a_published_step_is_delivered_as_it_was(subject: Subject) -> None:
    got = Recorder()
    step = a_step(claim="claim", history=("tried once",), attempt=1)
    await subject.queue.publish(step)
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await until(lambda: bool(got.steps))
    assert got.steps == [step]


async def test_a_step_tells_since_when_it_could_be_taken(subject: Subject) -> None:
    """From then on it waits for a worker: what waits for its time before is no wait in a lane."""
    got, delay = Recorder(), DELAYS[0]
    before = SystemClock().now()
    await subject.queue.publish(a_step(), delay=delay)
    await subject.queue.publish(a_step())
    after = SystemClock().now()
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await until(lambda: len(got.queued) == 2)
    at_once, delayed = got.queued
    assert before <= at_once <= after
    assert before + 1000 * delay <= delayed <= after + 1000 * delay


async def test_each_lane_has_its_own_steps(subject: Subject) -> None:
    steps = {lane: a_step(lane) for lane in Lane}
    got = {lane: Recorder() for lane in Lane}
    async with contextlib.AsyncExitStack() as consumers:
        for lane in Lane:
            await consumers.enter_async_context(consuming(subject.queue, lane, got[lane]))
            await subject.queue.publish(steps[lane])
        await until(lambda: all(recorder.steps for recorder in got.values()))
    assert {lane: recorder.steps for lane, recorder in got.items()} == {
        lane: [step] for lane, step in steps.items()
    }


async def test_a_step_that_was_acknowledged_does_not_come_back(subject: Subject) -> None:
    got = Recorder()
    await subject.queue.publish(a_step())
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await until(lambda: bool(got.ended))
        await asyncio.sleep(0.1)
    async with subject.another() as queue:
        again = Recorder()
        async with consuming(queue, Lane.ADMISSION, again):
            await asyncio.sleep(0.3)
        assert await ready(queue, Lane.ADMISSION) == 0
    assert not again.steps


@pytest.mark.parametrize("lane", [Lane.CHECK, Lane.PREWARM])
async def test_a_delayed_step_comes_to_its_lane_after_its_delay(
    subject: Subject, lane: Lane
) -> None:
    got = Recorder()
    async with consuming(subject.queue, lane, got):
        await asyncio.sleep(0.2)
        begin = time.monotonic()
        await subject.queue.publish(a_step(lane), delay=1)
        await until(lambda: bool(got.steps))
        took = time.monotonic() - begin
    assert 0.99 <= took < 5


async def test_steps_of_another_delay_do_not_hold_up_a_shorter_one(subject: Subject) -> None:
    got = Recorder()
    slow, quick = a_step(), a_step()
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await subject.queue.publish(slow, delay=60)
        await subject.queue.publish(quick, delay=1)
        await until(lambda: bool(got.steps))
    assert got.steps == [quick]
    assert (await subject.queue.depths()).delayed[60] == 1


async def test_at_most_so_many_handlers_run_at_once_as_were_asked_for(subject: Subject) -> None:
    got = Recorder()
    got.go.clear()
    async with consuming(subject.queue, Lane.ADMISSION, got, concurrency=3):
        for _ in range(12):
            await subject.queue.publish(a_step())
        await until(lambda: got.running == 3)
        await asyncio.sleep(0.1)
        got.go.set()
        await until(lambda: len(got.ended) == 12)
    assert got.most == 3


async def test_a_stuck_lane_does_not_stop_another(subject: Subject) -> None:
    stuck, got = Recorder(work=60), Recorder()
    async with (
        consuming(subject.queue, Lane.PREWARM, stuck, concurrency=2),
        consuming(subject.queue, Lane.ADMISSION, got, concurrency=2),
    ):
        for _ in range(4):
            await subject.queue.publish(a_step(Lane.PREWARM))
        await until(lambda: len(stuck.steps) == 2)
        for _ in range(4):
            await subject.queue.publish(a_step())
        await until(lambda: len(got.ended) == 4)


async def test_a_step_that_a_dead_consumer_had_in_hand_is_delivered_again(
    subject: Subject,
) -> None:
    step = a_step()
    dying, got = Recorder(work=60), Recorder()
    await subject.queue.publish(step)
    async with consuming(subject.queue, Lane.ADMISSION, dying):
        await until(lambda: bool(dying.steps))
    async with subject.another() as queue, consuming(queue, Lane.ADMISSION, got):
        await until(lambda: bool(got.ended))
    assert got.steps == [step]
    assert dying.running == 0
    assert subject.events[QueueEvent.REDELIVERED, Lane.ADMISSION] == 1


async def test_a_handler_that_raises_makes_a_dead_letter_and_the_next_step_is_handled(
    subject: Subject,
) -> None:
    got: list[Step] = []

    async def first_raises(step: Step) -> Settle:
        got.append(step)
        if len(got) == 1:
            raise LookupError("no such thing")
        return Settle.ACK

    async with consuming(subject.queue, Lane.ADMISSION, first_raises, concurrency=1):
        await subject.queue.publish(a_step())
        await subject.queue.publish(a_step())
        await until(lambda: len(got) == 2)
    await until(lambda: _dead_is(subject, 1))
    assert subject.events[QueueEvent.HANDLER_FAILED, Lane.ADMISSION] == 1


async def test_a_handler_that_something_cancels_from_inside_makes_a_dead_letter(
    subject: Subject,
) -> None:
    async def cancelled_inside(_step: Step) -> Settle:
        raise asyncio.CancelledError

    async with consuming(subject.queue, Lane.ADMISSION, cancelled_inside):
        await subject.queue.publish(a_step())
        await until(lambda: _dead_is(subject, 1))


async def test_a_handler_may_send_a_step_to_the_dead_letters(subject: Subject) -> None:
    async with consuming(subject.queue, Lane.CHECK, Recorder(Settle.DEAD)):
        await subject.queue.publish(
            a_step(Lane.CHECK, kind=StepKind.REQUEST),
        )
        await until(lambda: _dead_is(subject, 1))
    assert subject.events[QueueEvent.DEAD, Lane.CHECK] == 1


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[]", b'{"v": 99}', b"[" * 50_000])
async def test_a_message_that_is_no_step_is_a_dead_letter_and_not_looped(
    subject: Subject, body: bytes
) -> None:
    got = Recorder()
    step = a_step()
    async with consuming(subject.queue, Lane.ADMISSION, got, concurrency=1):
        await subject.put_raw(Lane.ADMISSION, body)
        await subject.queue.publish(step)
        await until(lambda: _dead_is(subject, 1))
        await until(lambda: bool(got.steps))
    assert got.steps == [step]
    assert subject.events[QueueEvent.BAD_MESSAGE, Lane.ADMISSION] == 1


async def test_a_full_lane_refuses_and_keeps_what_it_has(make: Make) -> None:
    async with make(max_ready=3) as subject:
        for _ in range(3):
            await subject.queue.publish(a_step())
        with pytest.raises(QueueFull):
            # A broker's cap is soft by a message or two (broker-facts.md 1).
            await _publish(subject, 5)
        await subject.queue.publish(a_step(Lane.CHECK, kind=StepKind.REQUEST))
        got = Recorder()
        async with consuming(subject.queue, Lane.ADMISSION, got):
            await until(lambda: len(got.steps) >= 3)
        await subject.queue.publish(a_step())


async def test_a_step_that_waits_for_its_delay_is_not_refused_by_a_full_lane(make: Make) -> None:
    async with make(max_ready=1) as subject:
        for _ in range(5):
            await subject.queue.publish(a_step(), delay=300)
        assert (await subject.queue.depths()).delayed[300] == 5


async def test_a_resolve_step_that_expired_is_gone_and_no_dead_letter(subject: Subject) -> None:
    got = Recorder()
    await subject.queue.publish(a_step(Lane.RESOLVE), expires_in=0.05)
    await asyncio.sleep(0.3)
    async with consuming(subject.queue, Lane.RESOLVE, got):
        await asyncio.sleep(0.3)
    assert not got.steps
    assert await ready(subject.queue, Lane.RESOLVE) == 0
    assert await dead(subject.queue) == 0


async def test_a_resolve_step_in_time_is_delivered(subject: Subject) -> None:
    got = Recorder()
    soon = SystemClock().now() + 60_000
    async with consuming(subject.queue, Lane.RESOLVE, got):
        await subject.queue.publish(a_step(Lane.RESOLVE, deadline=soon), expires_in=60.0)
        await until(lambda: bool(got.ended))


async def test_a_resolve_step_whose_asker_is_gone_is_not_handled(subject: Subject) -> None:
    got = Recorder()
    past = SystemClock().now() - CLOCKS_APART - 1
    async with consuming(subject.queue, Lane.RESOLVE, got):
        await subject.queue.publish(a_step(Lane.RESOLVE, deadline=past))
        await until(lambda: subject.events[QueueEvent.EXPIRED, Lane.RESOLVE] == 1)
    assert not got.steps
    assert await dead(subject.queue) == 0


async def test_a_resolve_step_is_handled_by_a_worker_whose_clock_is_a_little_ahead(
    subject: Subject,
) -> None:
    got = Recorder()
    soon = SystemClock().now() - 500
    async with consuming(subject.queue, Lane.RESOLVE, got):
        await subject.queue.publish(a_step(Lane.RESOLVE, deadline=soon), expires_in=60.0)
        await until(lambda: bool(got.ended))


async def test_drain_lets_handlers_end_takes_no_more_and_returns(subject: Subject) -> None:
    got = Recorder()
    got.go.clear()
    async with consuming(subject.queue, Lane.ADMISSION, got, concurrency=2) as consumer:
        for _ in range(4):
            await subject.queue.publish(a_step())
        await until(lambda: len(got.steps) == 2)
        draining = asyncio.create_task(subject.queue.drain(timeout=PATIENCE))
        await asyncio.sleep(0.1)
        assert not draining.done()
        got.go.set()
        await draining
        assert len(got.ended) == len(got.steps) == 2
        async with asyncio.timeout(PATIENCE):
            await consumer
    await until(lambda: _ready_is(subject, Lane.ADMISSION, 2))


async def test_drain_cancels_what_does_not_end_and_it_is_queued_again(subject: Subject) -> None:
    got = Recorder(work=60)
    async with consuming(subject.queue, Lane.ADMISSION, got) as consumer:
        await subject.queue.publish(a_step())
        await until(lambda: bool(got.steps))
        await subject.queue.drain(timeout=0.1)
        async with asyncio.timeout(PATIENCE):
            await consumer
    assert got.running == 0
    assert not got.ended
    await until(lambda: _ready_is(subject, Lane.ADMISSION, 1))
    assert await dead(subject.queue) == 0


async def test_drain_without_consumers_returns(subject: Subject) -> None:
    async with asyncio.timeout(PATIENCE):
        await subject.queue.drain(timeout=PATIENCE)


async def test_a_drained_queue_consumes_no_more_but_still_publishes(subject: Subject) -> None:
    got = Recorder()
    await subject.queue.drain(timeout=1)
    await subject.queue.publish(a_step())
    async with asyncio.timeout(PATIENCE):
        await subject.queue.consume(Lane.ADMISSION, got, concurrency=1)
    assert not got.steps
    await until(lambda: _ready_is(subject, Lane.ADMISSION, 1))


async def test_a_handler_may_publish_its_follow_up(subject: Subject) -> None:
    got: list[Step] = []

    async def once_more(step: Step) -> Settle:
        got.append(step)
        if step.hop < 2:
            await subject.queue.publish(msgspec.structs.replace(step, hop=step.hop + 1))
        return Settle.ACK

    async with consuming(subject.queue, Lane.ADMISSION, once_more, concurrency=1):
        await subject.queue.publish(a_step())
        await until(lambda: len(got) == 3)
    assert [step.hop for step in got] == [0, 1, 2]


async def test_depths_tell_what_stands_where(subject: Subject) -> None:
    queue = subject.queue
    for _ in range(2):
        await queue.publish(a_step())
    await queue.publish(a_step(Lane.PREWARM), delay=60)
    stuck = Recorder(work=60)
    async with consuming(queue, Lane.PREWARM, stuck, concurrency=1):
        for _ in range(3):
            await queue.publish(a_step(Lane.PREWARM))
        await until(lambda: bool(stuck.steps))
        await until(lambda: _ready_is(subject, Lane.PREWARM, 2))
        depths = await queue.depths()
    lanes = {depth.lane: depth for depth in depths.lanes}
    assert set(lanes) == set(Lane)
    assert (lanes[Lane.ADMISSION].ready, lanes[Lane.ADMISSION].consumers) == (2, 0)
    assert (lanes[Lane.PREWARM].ready, lanes[Lane.PREWARM].consumers) == (2, 1)
    assert lanes[Lane.PREWARM].unacknowledged in (1, None)
    assert lanes[Lane.CHECK] == LaneDepth(
        lane=Lane.CHECK, ready=0, unacknowledged=lanes[Lane.CHECK].unacknowledged
    )
    assert depths.delayed == {1: 0, 2: 0, 5: 0, 10: 0, 30: 0, 60: 1, 120: 0, 300: 0}
    assert depths.dead == 0


async def test_the_queue_counts_what_it_carried(subject: Subject) -> None:
    got = Recorder()
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await subject.queue.publish(a_step())
        await subject.queue.publish(a_step(), delay=1)
        await subject.queue.publish(a_step(Lane.PREWARM))
        await until(lambda: len(got.ended) == 2)
    assert subject.queue.carried.steps() == (
        CarriedSteps(Lane.ADMISSION, StepKind.REQUEST, published=2, delayed=1, delivered=2),
        CarriedSteps(Lane.PREWARM, StepKind.REQUEST, published=1),
    )


async def test_the_queue_counts_what_is_in_hand_until_it_is_settled(subject: Subject) -> None:
    carried = subject.queue.carried
    got = Recorder()
    got.go.clear()
    async with consuming(subject.queue, Lane.ADMISSION, got, concurrency=2):
        await subject.put_raw(Lane.ADMISSION, b"no step")
        await subject.queue.publish(a_step())
        await subject.queue.publish(a_step())
        await until(lambda: len(got.steps) == 2)
        assert carried.in_hand() == {lane: 2 * (lane is Lane.ADMISSION) for lane in Lane}
        got.go.set()
        await until(lambda: len(got.ended) == 2)
        await until(lambda: not any(carried.in_hand().values()))


async def test_what_a_dying_consumer_had_in_hand_is_not_counted_any_more(subject: Subject) -> None:
    carried = subject.queue.carried
    stuck = Recorder(work=60)
    async with consuming(subject.queue, Lane.ADMISSION, stuck):
        await subject.queue.publish(a_step())
        await until(lambda: carried.in_hand()[Lane.ADMISSION] == 1)
    await until(lambda: carried.in_hand()[Lane.ADMISSION] == 0)


async def test_ping_of_a_queue_that_works_passes(subject: Subject) -> None:
    await subject.queue.ping()


async def test_a_delay_that_does_not_exist_is_refused(subject: Subject) -> None:
    with pytest.raises(ValueError, match="no delay of 3 s"):
        await subject.queue.publish(a_step(), delay=3)


@pytest.mark.parametrize(("lane", "delay"), [(Lane.ADMISSION, 0), (Lane.RESOLVE, 1)])
async def test_only_undelayed_resolve_steps_expire(
    subject: Subject, lane: Lane, delay: int
) -> None:
    with pytest.raises(ValueError, match="expire"):
        await subject.queue.publish(a_step(lane), delay=delay, expires_in=1.0)


async def test_a_consumer_without_hands_is_refused(subject: Subject) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await subject.queue.consume(Lane.ADMISSION, Recorder(), concurrency=0)


async def _publish(subject: Subject, count: int) -> None:
    for _ in range(count):
        await subject.queue.publish(a_step())


async def _ready_is(subject: Subject, lane: Lane, expected: int) -> bool:
    return await ready(subject.queue, lane) == expected


async def _dead_is(subject: Subject, expected: int) -> bool:
    return await dead(subject.queue) == expected
