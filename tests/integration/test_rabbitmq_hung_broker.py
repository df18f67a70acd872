"""The queue on RabbitMQ while the broker hangs or is full of memory."""

import asyncio
import logging
import time

import msgspec
import pytest

from services.worker.dispatch import Follower
from shared.adapters.rabbitmq.publisher import LATE_TIMEOUT
from shared.domain.errors import (
    QueueUnavailable,
    QueueUnconfirmed,
)
from shared.domain.step import Lane
from tests.integration.rabbit_process import (
    Process,
    Recorder,
    a_step,
    consuming,
    fails,
    passes,
    publish_until_taken,
    until,
    warm_up,
)
from tests.servers.rabbitmq import RabbitServer

pytestmark = pytest.mark.servers


async def test_a_broker_out_of_memory_is_told_in_time_and_nothing_is_sent_into_it(
    broker: RabbitServer, prefix: str
) -> None:
    process, got = Process(broker, prefix, confirm_timeout=0.2), Recorder()
    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        with broker.memory_alarm():
            begin = time.monotonic()
            with pytest.raises(QueueUnconfirmed):
                await queue.publish(a_step())  # the first one finds out
            await until(lambda: fails(queue, "alarm"))
            refused = a_step()
            with pytest.raises(QueueUnavailable, match="alarm"):
                await queue.publish(refused)
            with pytest.raises(QueueUnavailable, match="alarm"):
                await queue.ping()
            assert time.monotonic() - begin < 5
            await queue.depths()
        last = a_step()
        await publish_until_taken(queue, last)
        await until(lambda: got.ended[last.id] >= 1)
        assert not got.began[refused.id]
        await until(lambda: passes(queue.ping))


async def test_an_alarm_is_said_once_for_all_the_steps_that_wait_and_none_of_them_is_lost(
    broker: RabbitServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    process, got = Process(broker, prefix, confirm_timeout=1.0), Recorder()
    steps = [a_step() for _ in range(40)]

    def warnings() -> list[str]:
        of_ours = [line for line in caplog.records if line.name == "services.worker.holdups"]
        return [line.getMessage() for line in of_ours if line.levelno == logging.WARNING]

    async with process.running() as queue, consuming(queue, Lane.ADMISSION, got):
        follower = Follower(queue=queue, pause=0.1)
        with broker.memory_alarm():
            following = [asyncio.create_task(follower.follow(each, 1)) for each in steps]
            await until(lambda: any("alarm" in line for line in warnings()))
            await asyncio.sleep(2.0)
            assert not any(each.done() for each in following)
            # The first ones find out, as nothing is confirmed: that is told too.
            assert len(warnings()) <= 2
        await asyncio.gather(*following)
        await until(lambda: all(got.ended[each.id] for each in steps))


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
        await until(lambda: fails(queue, "confirmed nothing"))
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
            await until(lambda: fails(queue, "confirmed nothing"))
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
            await until(lambda: fails(queue, "no broker at"))
        step = a_step()
        await publish_until_taken(queue, step)
        await until(lambda: got.ended[step.id] >= 1)
        await until(lambda: passes(queue.ping))


async def test_closing_a_hung_connection_full_of_unsent_steps_takes_seconds_only(
    broker: RabbitServer, prefix: str
) -> None:
    process = Process(broker, prefix, confirm_timeout=0.1)
    big = msgspec.structs.replace(a_step(), reference="x" * 20_000)
    async with process.running() as queue:
        broker.pause()
        results = await asyncio.gather(
            *(queue.publish(big) for _ in range(1_200)), return_exceptions=True
        )
        begin = time.monotonic()
    assert time.monotonic() - begin < 15
    assert {type(result) for result in results} <= {QueueUnconfirmed, QueueUnavailable}
