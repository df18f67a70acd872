"""The queue on RabbitMQ while the broker dies, hangs, is full of memory, or loses its queues."""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
import msgspec
import pytest
from aio_pika.exceptions import AMQPError

from shared.adapters.handling import QueueEvent
from shared.adapters.rabbitmq.publisher import LATE_TIMEOUT
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.rabbitmq.topology import Topology
from shared.domain.errors import (
    InvalidSettings,
    QueueError,
    QueueFull,
    QueueUnavailable,
    QueueUnconfirmed,
)
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, Step, StepKind, encode_step
from shared.domain.verdict import Question
from shared.ports.steps import Handler, Settle, StepQueue
from shared.runtime.clock import SystemClock
from tests.servers.rabbitmq import RabbitServer

pytestmark = pytest.mark.servers

PATIENCE = 30.0
SETTLED = 3.0
"""Seconds after which a declared queue survives kill -9 (broker-facts.md 3 and 8.23)."""


@pytest.fixture
def prefix() -> str:
    return f"fault-{uuid.uuid4().hex[:8]}"


class Process:
    """One process of ours: a queue object and what happened to its deliveries."""

    def __init__(
        self,
        broker: RabbitServer,
        prefix: str,
        *,
        url: str = "",
        confirm_timeout: float = 1.0,
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


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.05)


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
    await queue.publish(step)
    await until(lambda: got.ended[step.id] == 1)


async def test_nothing_that_was_confirmed_is_lost_when_the_broker_is_killed(
    broker: RabbitServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    webhook = Process(broker, prefix, confirm_timeout=0.1)
    worker = Process(broker, prefix)
    got, confirmed, stop = Recorder(), set[str](), asyncio.Event()
    failures: Counter[type[QueueError]] = Counter()

    async def publish_on() -> None:
        while not stop.is_set():
            step = a_step()
            try:
                await webhook.queue.publish(step)
            except QueueError as error:
                failures[type(error)] += 1
            else:
                confirmed.add(step.id)
            await asyncio.sleep(0.01)

    async with (
        webhook.running(),
        worker.running() as queue,
        consuming(queue, Lane.ADMISSION, got),
        consuming(queue, Lane.CHECK, got),
    ):
        await asyncio.sleep(SETTLED)
        delayed = a_step(Lane.CHECK)
        await webhook.queue.publish(delayed, delay=5)
        publishing = asyncio.create_task(publish_on())
        await until(lambda: len(confirmed) > 100)
        with caplog.at_level(logging.WARNING):
            await asyncio.to_thread(broker.restart)
        before = len(confirmed)
        await until(lambda: len(confirmed) > before + 100)
        stop.set()
        await publishing
        await until(lambda: got.ended.keys() >= confirmed | {delayed.id})
    assert set(failures) <= {QueueUnavailable, QueueUnconfirmed}
    assert failures[QueueUnavailable] > 0
    # What happens is said in a few lines: no traceback, and not a line for each try.
    assert not [record for record in caplog.records if record.exc_info]
    assert len(caplog.records) < 15


async def test_a_process_starts_without_its_broker_and_works_once_it_is_there(
    broker: RabbitServer, prefix: str
) -> None:
    broker.kill()
    process, got = Process(broker, prefix), Recorder()
    step = a_step()
    async with (
        process.queue.connect() as queue,
        consuming(queue, Lane.ADMISSION, got),
    ):
        begin = time.monotonic()
        with pytest.raises(QueueUnavailable, match=r"no broker at 127.0.0.1:\d+"):
            await queue.publish(step)
        with pytest.raises(QueueUnavailable):
            await queue.ping()
        with pytest.raises(QueueUnavailable):
            await queue.depths()
        assert time.monotonic() - begin < 5
        with pytest.raises(QueueUnavailable, match=r"refused|Connect call failed"):
            await queue.connected(timeout=2)
        await asyncio.to_thread(broker.start_node)
        await queue.connected(timeout=PATIENCE)
        await queue.publish(step)
        await until(lambda: got.ended[step.id] == 1)
        await queue.ping()


async def test_a_queue_that_was_closed_says_so(broker: RabbitServer, prefix: str) -> None:
    async with Process(broker, prefix).running() as queue:
        await queue.publish(a_step())
    with pytest.raises(QueueUnavailable, match="closed"):
        await queue.publish(a_step())
    with pytest.raises(QueueUnavailable, match="connect"):
        await Process(broker, prefix).queue.consume(Lane.CHECK, Recorder(), concurrency=1)


async def test_what_is_under_way_when_a_queue_is_closed_ends_with_an_error_of_the_queue(
    broker: RabbitServer, prefix: str
) -> None:
    results: list[object] = []
    for moment in range(8):
        async with Process(broker, prefix).running() as queue:
            calls: list[asyncio.Task[object]] = []
            calls += [asyncio.create_task(queue.publish(a_step())) for _ in range(50)]
            calls += [asyncio.create_task(queue.depths()) for _ in range(10)]
            await asyncio.sleep(0.002 * moment)
        results += await asyncio.gather(*calls, return_exceptions=True)
    wrong = [result for result in results if isinstance(result, BaseException)]
    assert wrong
    assert all(isinstance(result, QueueError) for result in wrong)


async def test_drain_does_not_wait_for_a_broker_that_is_away(
    broker: RabbitServer, prefix: str
) -> None:
    broker.kill()
    process = Process(broker, prefix)
    async with process.queue.connect() as queue:
        consumer = asyncio.create_task(queue.consume(Lane.ADMISSION, Recorder(), concurrency=1))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            await queue.drain(timeout=10)
            await consumer


async def test_a_broker_that_lost_everything_gets_its_queues_again(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await asyncio.to_thread(broker.kill)
        broker.forget()
        await asyncio.to_thread(broker.start_node)
        step = a_step()
        await publish_until_taken(queue, step)
        await until(lambda: got.ended[step.id] == 1)


async def test_a_lane_that_somebody_deletes_is_made_again_and_consumed(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await warm_up(queue, got)
        await asyncio.to_thread(broker.ctl, "delete_queue", f"{prefix}.admission")
        step = a_step()
        await publish_until_taken(queue, step)
        await until(lambda: got.ended[step.id] == 1)


async def test_a_consumer_that_the_broker_forgot_without_a_word_is_made_again(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await warm_up(queue, got)
        # Declared again within some 20 ms the broker (3.10.8) tells no consumer, and delivers
        # nothing on their channels any more.
        async with await aio_pika.connect(broker.url) as other:
            async with other.channel() as channel:
                await channel.queue_delete(f"{prefix}.admission")
            await Topology(prefix=prefix).declare(other)
        step = a_step()
        await publish_until_taken(queue, step)
        await until(lambda: got.ended[step.id] == 1)


async def test_an_exchange_that_somebody_deletes_is_made_again(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await warm_up(queue, got)
        async with await aio_pika.connect(broker.url) as other, other.channel() as channel:
            await channel.exchange_delete(f"{prefix}.admission")
        step = a_step()
        # The broker closes the channel under it: nobody knows what became of it.
        with pytest.raises(QueueUnconfirmed):
            await queue.publish(step)
        await publish_until_taken(queue, step)
        await until(lambda: got.ended[step.id] == 1)


async def test_a_worker_sees_that_delays_have_no_end_any_more_and_makes_them_one(
    broker: RabbitServer, prefix: str
) -> None:
    """Nobody publishes there: it is seen by whoever counts, as the reconciler does."""
    process, got = Process(broker, prefix), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await warm_up(queue, got)
        async with await aio_pika.connect(broker.url) as other, other.channel() as channel:
            await channel.exchange_delete(f"{prefix}.steps")
        with pytest.raises(QueueUnavailable, match="steps"):
            await queue.depths()
        step = a_step()
        await until(lambda: _handed_on(broker, prefix, step))
        await until(lambda: got.ended[step.id] >= 1)


async def _handed_on(broker: RabbitServer, prefix: str, step: Step) -> bool:
    """Whether what a delay hands on gets to its lane."""
    async with await aio_pika.connect(broker.url) as delay:
        channel = await delay.channel(on_return_raises=True)
        steps = await channel.get_exchange(f"{prefix}.steps", ensure=False)
        message = aio_pika.Message(encode_step(step))
        try:
            await steps.publish(message, routing_key=f"{prefix}.{step.lane}", timeout=5)
        except AMQPError:
            return False
    return True


async def test_a_process_that_only_publishes_makes_a_deleted_lane_again(
    broker: RabbitServer, prefix: str
) -> None:
    process = Process(broker, prefix)
    async with process.running() as queue:
        await asyncio.to_thread(broker.ctl, "delete_queue", f"{prefix}.admission")
        with pytest.raises(QueueUnavailable, match="does not exist"):
            await queue.publish(a_step())
        await publish_until_taken(queue, a_step())
        # The other lanes have not noticed.
        await queue.publish(a_step(Lane.PREWARM))


async def test_a_broker_out_of_memory_is_told_in_time_and_nothing_is_sent_into_it(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix, confirm_timeout=0.2), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        with broker.memory_alarm():
            begin = time.monotonic()
            with pytest.raises(QueueUnconfirmed):
                await queue.publish(a_step())  # the first one finds out
            refused = a_step()
            with pytest.raises(QueueUnavailable, match="alarm"):
                await queue.publish(refused)
            with pytest.raises(QueueUnavailable, match="alarm"):
                await queue.ping()
            assert time.monotonic() - begin < 5
            await queue.depths()
        last = a_step()
        await publish_until_taken(queue, last)
        await until(lambda: got.ended[last.id] == 1)
        assert not got.began[refused.id]
        await queue.ping()


async def test_a_confirm_that_nobody_heard_any_more_is_not_held_against_a_queue_for_ever(
    broker: RabbitServer, prefix: str
) -> None:
    process = Process(broker, prefix, confirm_timeout=0.2, doubt=15.0)
    async with process.running() as queue:
        with broker.memory_alarm():
            with pytest.raises(QueueUnconfirmed):
                await queue.publish(a_step())
            await asyncio.sleep(LATE_TIMEOUT + 0.5)
        # Nobody publishes again.
        await until(lambda: _fails(queue, "confirmed nothing"))
        await until(lambda: passes(queue.ping))


async def test_a_hung_broker_is_told_in_time_and_recovers_without_a_reconnect(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix, confirm_timeout=0.2), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await warm_up(queue, got)
        steps = [a_step() for _ in range(3)]
        with broker.paused():
            begin = time.monotonic()
            for step in steps:
                with pytest.raises(QueueUnconfirmed, match="may still arrive"):
                    await queue.publish(step)
            await queue.publish(a_step(Lane.RESOLVE), expires_in=0.5)
            assert time.monotonic() - begin < 5
            await until(lambda: _fails(queue, "confirmed nothing"))
        await until(lambda: passes(queue.ping))
        await until(lambda: all(got.ended[step.id] == 1 for step in steps))


async def test_a_broker_that_hangs_longer_is_left_and_found_again(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix, heartbeat=1), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        await warm_up(queue, got)
        with broker.paused():
            # Three heartbeats and a second each.
            await until(lambda: _fails(queue, "no broker at"))
        step = a_step()
        await publish_until_taken(queue, step)
        await until(lambda: got.ended[step.id] >= 1)
        await until(lambda: passes(queue.ping))


async def test_closing_a_hung_connection_full_of_unsent_steps_takes_seconds_only(
    broker: RabbitServer, prefix: str
) -> None:
    process = Process(broker, prefix, confirm_timeout=0.1)
    big = msgspec.structs.replace(a_step(), reference="x" * 20_000)
    async with asyncio.timeout(15):
        async with process.running() as queue:
            broker.pause()
            results = await asyncio.gather(
                *(queue.publish(big) for _ in range(1_200)), return_exceptions=True
            )
    assert {type(result) for result in results} <= {QueueUnconfirmed, QueueUnavailable}


async def test_a_handler_that_outlives_its_connection_is_not_run_again_for_the_copy(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix), Recorder()
    step = a_step()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        got.go.clear()
        await queue.publish(step)
        await until(lambda: got.began[step.id] == 1)
        await asyncio.to_thread(broker.ctl, "close_all_connections", "a test")
        await until(lambda: process.events[QueueEvent.COPY] == 1)
        # The handler of the first delivery, and its copy.
        assert queue.carried.in_hand()[Lane.ADMISSION] == 2
        got.go.set()
        await until(lambda: got.ended[step.id] == 1)
        await until(lambda: _empty(queue))
        await until(lambda: not any(queue.carried.in_hand().values()))
        await queue.drain(timeout=PATIENCE)
    assert got.began[step.id] == 1
    assert process.events[QueueEvent.STALE] == 1
    assert await _nothing_left(broker, prefix)


async def test_a_result_that_could_not_be_told_is_told_with_the_copy(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix), Recorder()
    step = a_step()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        got.go.clear()
        await queue.publish(step)
        await until(lambda: got.began[step.id] == 1)
        await asyncio.to_thread(broker.kill)
        got.go.set()
        await until(lambda: process.events[QueueEvent.STALE] == 1)
        await asyncio.to_thread(broker.start_node)
        await until(lambda: process.events[QueueEvent.COPY] == 1)
        await until(lambda: _empty(queue))
        await queue.drain(timeout=PATIENCE)
    assert got.began[step.id] == 1
    assert await _nothing_left(broker, prefix)


async def test_queues_with_other_arguments_are_named_with_what_to_do(
    broker: RabbitServer, prefix: str
) -> None:
    async with Process(broker, prefix, max_ready=5).running():
        other = Process(broker, prefix, max_ready=6)
        async with other.queue.connect() as queue:
            with pytest.raises(QueueUnavailable, match=r"x-max-length.*same version and settings"):
                await queue.connected(timeout=2)


async def test_a_step_whose_delay_ends_before_a_full_lane_comes_once_there_is_room(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix, max_ready=3), Recorder()
    async with process.running() as queue:
        late = a_step()
        await queue.publish(late, delay=1)
        with pytest.raises(QueueFull):
            await _publish(queue, 10)
        await until(lambda: _has_left_its_delay(queue))
        await asyncio.sleep(0.5)
        async with consuming(queue, Lane.ADMISSION, got):
            await until(lambda: _empty(queue))
            assert late.id not in got.began
            # After three minutes where the broker is not told otherwise (tests.servers.rabbitmq).
            await until(lambda: got.ended[late.id] == 1)


async def test_a_wrong_password_is_said_without_showing_it(
    broker: RabbitServer, prefix: str
) -> None:
    process = Process(broker, prefix, url=broker.url.replace("guest:guest", "guest:hunter2"))
    async with process.queue.connect() as queue:
        with pytest.raises(QueueUnavailable, match="ACCESS_REFUSED") as caught:
            await queue.connected(timeout=2)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "rabbit:5672", "http://rabbit:5672/", "amqp:///vhost"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidSettings, match="amqp://user:password@host"):
        RabbitQueue(url, clock=SystemClock())


async def _fails(queue: RabbitQueue, why: str) -> bool:
    try:
        await queue.ping()
    except QueueUnavailable as error:
        return why in str(error)
    return False


async def _publish(queue: RabbitQueue, count: int) -> None:
    for _ in range(count):
        await queue.publish(a_step())


async def _has_left_its_delay(queue: RabbitQueue) -> bool:
    return (await queue.depths()).delayed[1] == 0


async def _empty(queue: RabbitQueue) -> bool:
    return all(lane.ready == 0 for lane in (await queue.depths()).lanes)


async def _nothing_left(broker: RabbitServer, prefix: str) -> bool:
    """Neither ready nor unacknowledged, as the broker itself says."""
    said = await asyncio.to_thread(broker.ctl, "list_queues", "name", "messages")
    lines = [line.split() for line in said.splitlines() if line.startswith(f"{prefix}.")]
    assert len(lines) == len(Lane) + len(DELAYS) + 1
    return all(count == "0" for _, count in lines)
