"""The queue on RabbitMQ whose lanes, exchange or consumers are gone, or are none of ours."""

import asyncio

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError

from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.rabbitmq.topology import Topology
from shared.domain.errors import (
    QueueFull,
    QueueUnavailable,
    QueueUnconfirmed,
)
from shared.domain.step import Lane, Step, encode_step
from tests.integration.rabbit_process import (
    Process,
    Recorder,
    a_step,
    consuming,
    is_refused,
    nothing_ready,
    publish_some,
    publish_until_taken,
    until,
    warm_up,
)
from tests.servers.rabbitmq import RabbitServer

pytestmark = pytest.mark.servers


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


async def test_queues_with_other_arguments_are_named_with_what_to_do(
    broker: RabbitServer, prefix: str
) -> None:
    async with Process(broker, prefix, max_ready=5).running():
        other = Process(broker, prefix, max_ready=6)
        async with other.queue.connect() as queue:
            await until(lambda: is_refused(queue, r"x-max-length.*same version and settings"))


async def test_a_step_whose_delay_ends_before_a_full_lane_comes_once_there_is_room(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix, max_ready=3), Recorder()
    async with process.running() as queue:
        late = a_step()
        # So far off that the lane is full before.
        await queue.publish(late, delay=5)
        with pytest.raises(QueueFull):
            await publish_some(queue, 10)
        await until(lambda: _has_left_its_delay(queue))
        await asyncio.sleep(0.5)
        async with consuming(queue, Lane.ADMISSION, got):
            await until(lambda: nothing_ready(queue))
            assert late.id not in got.began
            # After three minutes where the broker is not told otherwise (tests.servers.rabbitmq).
            await until(lambda: got.ended[late.id] == 1)


async def _has_left_its_delay(queue: RabbitQueue) -> bool:
    return (await queue.depths()).delayed[5] == 0
