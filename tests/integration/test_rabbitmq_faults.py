"""The queue on RabbitMQ whose broker dies, is away, or does not let us in."""

import asyncio
import logging
import time
from collections import Counter

import pytest

from shared.adapters.handling import QueueEvent
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.errors import (
    InvalidSettings,
    QueueError,
    QueueUnavailable,
    QueueUnconfirmed,
)
from shared.domain.retry import DELAYS
from shared.domain.step import Lane
from shared.runtime.clock import SystemClock
from tests.integration.rabbit_process import (
    SETTLED,
    Process,
    Recorder,
    a_step,
    consuming,
    is_refused,
    nothing_ready,
    until,
)
from tests.servers.rabbitmq import RabbitServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers


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
        await queue.publish(delayed, delay=5)
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
        await until(lambda: is_refused(queue, r"refused|Connect call failed"))
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
        async with asyncio.timeout(8):
            await queue.drain(timeout=PATIENCE)
            await consumer


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
        await until(lambda: nothing_ready(queue))
        await until(lambda: not any(queue.carried.in_hand().values()))
        await queue.drain(timeout=PATIENCE)
    assert got.began[step.id] == 1
    assert process.events[QueueEvent.STALE] == 1
    await until(lambda: _nothing_left(broker, prefix))


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
        await until(lambda: nothing_ready(queue))
        await queue.drain(timeout=PATIENCE)
    assert got.began[step.id] == 1
    await until(lambda: _nothing_left(broker, prefix))


async def test_a_wrong_password_is_said_without_showing_it(
    broker: RabbitServer, prefix: str
) -> None:
    process = Process(broker, prefix, url=broker.url.replace("guest:guest", "guest:hunter2"))
    async with process.queue.connect() as queue:
        await until(lambda: is_refused(queue, "ACCESS_REFUSED"))
        with pytest.raises(QueueUnavailable, match="ACCESS_REFUSED") as caught:
            await queue.ping()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "rabbit:5672", "http://rabbit:5672/", "amqp:///vhost"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidSettings, match="amqp://user:password@host"):
        RabbitQueue(url, clock=SystemClock())


async def _nothing_left(broker: RabbitServer, prefix: str) -> bool:
    """Neither ready nor unacknowledged, as the broker itself says."""
    said = await asyncio.to_thread(broker.ctl, "list_queues", "name", "messages")
    lines = [line.split() for line in said.splitlines() if line.startswith(f"{prefix}.")]
    assert len(lines) == len(Lane) + len(DELAYS) + 1
    return all(count == "0" for _, count in lines)
