"""Dead letters on RabbitMQ while lookers die, others are in the way, and the broker fails."""

import asyncio
import contextlib
import re
import subprocess
import sys
import time

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from shared.adapters.rabbitmq.look import look
from shared.domain.errors import QueueError, QueueUnavailable
from shared.domain.step import Lane
from shared.ports.steps import Settle
from tests.contract.queues import Recorder, a_step, consuming, dead, done, missing, ready, until
from tests.integration.letters import ALL, Looker, looks_well
from tests.servers.rabbitmq import RabbitServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers


SETTLED = 3.0
"""Seconds after which a declared queue survives kill -9 (broker-facts.md 3)."""

STUCK_LOOKER = """
import asyncio, sys, time
from shared.adapters.rabbitmq.look import look
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.runtime.clock import SystemClock

async def main(url, prefix):
    async with RabbitQueue(url, clock=SystemClock(), prefix=prefix).connect() as queue:
        link = await queue.consuming(timeout=30)
        async with look(link, queue.topology.dead, timeout=30) as looking:
            print(await looking.through(lambda message: False), looking.seen, flush=True)
            time.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""
"""A process that has all dead letters in hand, and hangs."""


class Held:
    """What a look has in hand."""

    def __init__(self) -> None:
        self.messages: list[AbstractIncomingMessage] = []

    def __call__(self, message: AbstractIncomingMessage) -> bool:
        self.messages.append(message)
        return False


async def test_nothing_is_opened_before_it_is_used_and_without_a_connection_it_says_so(
    broker: RabbitServer,
) -> None:
    looker = Looker(broker, "never")
    with pytest.raises(QueueUnavailable, match="enter connect"):
        await looker.letters.letters(limit=1)


async def test_a_looker_that_is_killed_with_everything_in_hand_loses_nothing(
    looker: Looker,
) -> None:
    names = await looker.put_steps(100)
    assert await dead(looker.queue) == 100
    stuck = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STUCK_LOOKER, looker.broker.url, looker.prefix),
        stdout=subprocess.PIPE,
    )
    try:
        assert stuck.stdout is not None
        assert await asyncio.wait_for(stuck.stdout.readline(), PATIENCE) == b"True 100\n"
        waiting = asyncio.create_task(looker.names())
        # What is in its hand is not gone for those who have counted before.
        assert await dead(looker.queue) == 100
        assert not waiting.done()
    finally:
        stuck.kill()
        await stuck.wait()
    assert await waiting == names
    assert await dead(looker.queue) == 100


async def test_a_connection_that_is_cut_in_the_middle_of_a_look_loses_nothing(
    looker: Looker,
) -> None:
    names = await looker.put_steps(50)
    link = await looker.queue.consuming(timeout=30)
    async with look(link, looker.queue.topology.dead, timeout=30) as looking:
        held = Held()
        assert await looking.through(held)
        assert len(held.messages) == 50
        await asyncio.to_thread(looker.broker.ctl, "close_all_connections", "a test")
        with pytest.raises(QueueUnavailable):
            await looking.settle(held.messages[:1])
    await until(lambda: looks_well(looker))
    assert await looker.names() == names


async def test_a_look_that_is_cancelled_gives_everything_back(looker: Looker) -> None:
    names = await looker.put_steps(300)
    for _ in range(10):
        looking = asyncio.create_task(looker.names())
        await asyncio.sleep(0.02)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
    assert await looker.names() == names


async def test_letters_survive_a_broker_that_is_killed(looker: Looker) -> None:
    await asyncio.sleep(SETTLED)
    names = await looker.put_steps(5)
    await asyncio.to_thread(looker.broker.restart)
    await until(lambda: looks_well(looker))
    assert await looker.names() == names


async def test_a_broker_that_is_away_is_said_in_time(broker: RabbitServer) -> None:
    broker.kill()
    looker = Looker(broker, "away")
    async with looker.queue.connect():
        begin = time.monotonic()
        with pytest.raises(QueueUnavailable, match=r"no broker at 127.0.0.1:\d+"):
            await looker.letters.letters(limit=1)
        # Three for a connection.
        assert time.monotonic() - begin < 10


async def test_a_hung_broker_hangs_nobody_and_everything_is_there_afterwards(
    looker: Looker,
) -> None:
    names = await looker.put_steps(20)
    hasty = looker.another(patience=1.0)
    async with hasty.running():
        await until(lambda: looks_well(hasty))
        link = await looker.queue.consuming(timeout=30)
        with looker.broker.paused():
            begin = time.monotonic()
            for question in (
                hasty.letters.letters(limit=1),
                hasty.letters.letter(names[0]),
                hasty.letters.requeue([names[0]]),
                hasty.letters.drop([names[0]]),
            ):
                with pytest.raises(QueueUnavailable):
                    await question
            # Each may take a second, and three to close its channel.
            assert time.monotonic() - begin < 4 * 8
        async with look(link, looker.queue.topology.dead, timeout=30) as looking:
            assert await looking.through(lambda _: False)
            looker.broker.pause()
        looker.broker.resume()
    await until(lambda: looks_well(looker))
    assert await looker.names() == names


async def test_a_broker_out_of_memory_shows_and_drops_but_takes_no_step(looker: Looker) -> None:
    names = await looker.put_steps(3)
    hasty = looker.another(confirm_timeout=0.5)
    async with hasty.running():
        with looker.broker.memory_alarm():
            await _shows_and_drops(looker, hasty, names)
    await until(lambda: _requeued(looker, names[0]))
    assert await looker.names() == [names[2]]
    got = Recorder()
    async with consuming(looker.queue, Lane.ADMISSION, got):
        await until(lambda: len(got.ended) >= 1)
        await asyncio.sleep(0.3)
    # Once, and a copy of the one that was not confirmed.
    assert {step.reference for step in got.steps} == {a_step().reference}
    assert len(got.steps) <= 2


async def _shows_and_drops(looker: Looker, hasty: Looker, names: list[str]) -> None:
    assert await looker.names() == names
    for _ in range(2):
        # The first one finds out, and nobody knows what becomes of its step.
        ended = await hasty.letters.requeue([names[0], names[2]])
        assert not ended.done
        assert ended.failed[names[0]]
        assert ended.failed[names[2]] == "not tried after that"
    assert await looker.letters.drop([names[1]]) == done(names[1])
    assert await looker.names() == [names[0], names[2]]


async def _requeued(looker: Looker, name: str) -> bool:
    try:
        return bool((await looker.letters.requeue([name])).done)
    except QueueError:
        return False


async def test_somebody_else_who_keeps_the_letters_is_named_and_nothing_is_said_to_be_missing(
    looker: Looker,
) -> None:
    names = await looker.put_steps(4)
    assert await dead(looker.queue) == 4
    hasty = looker.another(patience=5.0)
    async with (
        hasty.running(),
        await aio_pika.connect(looker.broker.url) as other,
        other.channel() as channel,
    ):
        queue = await channel.get_queue(f"{looker.prefix}.dead", ensure=False)
        taken = asyncio.Event()

        async def keep(_message: AbstractIncomingMessage) -> None:
            taken.set()

        await queue.consume(keep)
        await taken.wait()
        answers = await asyncio.gather(
            hasty.letters.letters(limit=ALL),
            hasty.letters.letter(names[0]),
            hasty.letters.requeue([names[0]]),
            hasty.letters.drop([names[0]]),
            return_exceptions=True,
        )
        assert {type(answer) for answer in answers} == {QueueUnavailable}
        for answer in answers:
            assert re.search("somebody else .* list_consumers", str(answer))
        # As many as when it was counted last.
        assert await dead(looker.queue) == 4
    assert await looker.names() == names


async def test_who_waits_for_letters_that_are_taken_away_meanwhile_finds_none(
    looker: Looker,
) -> None:
    [name] = await looker.put_steps(1)
    async with looker.another().running() as second:
        link = await looker.queue.consuming(timeout=30)
        async with look(link, looker.queue.topology.dead, timeout=30) as looking:
            held = Held()
            assert await looking.through(held)
            waiting = asyncio.gather(
                second.letters.letters(limit=ALL),
                second.letters.letter(name),
                second.letters.drop([name]),
                second.names(),
            )
            await asyncio.sleep(0.5)
            await looking.settle(held.messages[:1])
        assert list(await waiting) == [[], None, missing(name), []]


@pytest.mark.parametrize("looks", [True, False])
async def test_a_dead_letter_queue_that_somebody_deletes_is_made_again(
    looker: Looker, looks: bool
) -> None:
    await looker.names()
    await asyncio.to_thread(looker.broker.ctl, "delete_queue", f"{looker.prefix}.dead")
    with pytest.raises(QueueUnavailable, match="no queue"):
        await (looker.names() if looks else dead(looker.queue))
    await until(lambda: looks_well(looker))
    async with consuming(looker.queue, Lane.ADMISSION, Recorder(Settle.DEAD)):
        await looker.queue.publish(a_step())
        await until(lambda: _one_is_dead(looker))


async def test_a_step_that_was_delivered_too_often_says_so(looker: Looker) -> None:
    await looker.queue.publish(a_step(Lane.PREWARM))
    async with await aio_pika.connect(looker.broker.url) as other:
        for _ in range(30):
            async with other.channel() as channel:
                lane = await channel.get_queue(f"{looker.prefix}.prewarm", ensure=False)
                await lane.get(fail=False)
    await until(lambda: _one_is_dead(looker))
    [letter] = await looker.letters.letters(limit=ALL)
    assert (letter.lane, letter.reason) == ("prewarm", "delivery_limit")
    assert await looker.letters.requeue([letter.id]) == done(letter.id)
    assert await ready(looker.queue, Lane.PREWARM) == 1


async def _one_is_dead(looker: Looker) -> bool:
    return await dead(looker.queue) == 1
