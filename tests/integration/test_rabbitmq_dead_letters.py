"""Dead letters on RabbitMQ while lookers die, others are in the way, and the broker fails."""

import asyncio
import contextlib
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, HeadersType
from pamqp.commands import Basic

from shared.adapters.rabbitmq.dead import RabbitDeadLetters
from shared.adapters.rabbitmq.look import look
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.errors import QueueError, QueueUnavailable
from shared.domain.step import Lane, encode_step
from shared.ports.steps import MAX_DEAD, DeadLetter, Settle
from shared.runtime.clock import SystemClock
from tests.contract.queues import Recorder, a_step, consuming, dead, done, missing, ready, until
from tests.servers.rabbitmq import RabbitServer

pytestmark = pytest.mark.servers

ALL = 1_000
SETTLED = 3.0
"""Seconds after which a declared queue survives kill -9 (broker-facts.md 3)."""

STUCK_LOOKER = """
import asyncio, sys, time
from shared.adapters.rabbitmq.look import look
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.runtime.clock import SystemClock

async def main(url, prefix):
    async with RabbitQueue(url, clock=SystemClock(), prefix=prefix).connect() as queue:
        link = await queue.consuming(timeout=5)
        async with look(link, queue.topology.dead, timeout=5) as looking:
            print(await looking.through(lambda message: False), looking.seen, flush=True)
            time.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""
"""A process that has all dead letters in hand, and hangs."""


class Looker:
    """One process of ours that looks at dead letters."""

    def __init__(
        self,
        broker: RabbitServer,
        prefix: str,
        *,
        patience: float = 10.0,
        confirm_timeout: float = 0.5,
    ) -> None:
        clock = SystemClock()
        self.broker = broker
        self.prefix = prefix
        self.queue = RabbitQueue(
            broker.url,
            clock=clock,
            prefix=prefix,
            confirm_timeout=confirm_timeout,
            reconnect_interval=0.5,
        )
        self.letters = RabbitDeadLetters(queue=self.queue, clock=clock, patience=patience)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Looker"]:
        async with self.queue.connect():
            await self.queue.connected(timeout=30)
            yield self

    def another(self, *, patience: float) -> "Looker":
        return Looker(self.broker, self.prefix, patience=patience)

    async def put(self, *messages: aio_pika.Message) -> None:
        """Straight among the dead, as a stranger could."""
        async with await aio_pika.connect(self.broker.url) as other, other.channel() as channel:
            for message in messages:
                await channel.default_exchange.publish(message, routing_key=f"{self.prefix}.dead")

    async def put_steps(self, count: int) -> list[str]:
        """Steps among the dead; their letters' names."""
        steps = (a_step(id=f"step-{number}") for number in range(count))
        await self.put(*(died(encode_step(step)) for step in steps))
        return await self.names()

    async def names(self) -> list[str]:
        return names_of(await self.letters.letters(limit=ALL))


@pytest.fixture
async def patient(broker: RabbitServer) -> AsyncIterator[Looker]:
    """As long-suffering as a command is: for much at once."""
    prefix = f"letters-{uuid.uuid4().hex[:8]}"
    async with Looker(broker, prefix, confirm_timeout=20.0).running() as made:
        yield made


@pytest.fixture
async def looker(broker: RabbitServer) -> AsyncIterator[Looker]:
    async with Looker(broker, f"letters-{uuid.uuid4().hex[:8]}").running() as made:
        yield made


class Held:
    """What a look has in hand."""

    def __init__(self) -> None:
        self.messages: list[AbstractIncomingMessage] = []

    def __call__(self, message: AbstractIncomingMessage) -> bool:
        self.messages.append(message)
        return False


def died(body: bytes) -> aio_pika.Message:
    return aio_pika.Message(
        body,
        message_id=uuid.uuid4().hex,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        headers={"x-death": [{"queue": "q", "reason": "rejected", "time": datetime.now(UTC)}]},
    )


def names_of(letters: Sequence[DeadLetter]) -> list[str]:
    return [letter.id for letter in letters]


async def looks_well(looker: Looker) -> bool:
    try:
        await looker.names()
    except QueueError:
        return False
    return True


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
        assert await asyncio.wait_for(stuck.stdout.readline(), 30) == b"True 100\n"
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
    link = await looker.queue.consuming(timeout=5)
    async with look(link, looker.queue.topology.dead, timeout=5) as looking:
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
        assert time.monotonic() - begin < 5


async def test_a_hung_broker_hangs_nobody_and_everything_is_there_afterwards(
    looker: Looker,
) -> None:
    names = await looker.put_steps(20)
    hasty = looker.another(patience=1.0)
    async with hasty.running():
        await hasty.names()
        link = await looker.queue.consuming(timeout=5)
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
            assert time.monotonic() - begin < 4 * 5
        async with look(link, looker.queue.topology.dead, timeout=5) as looking:
            assert await looking.through(lambda _: False)
            looker.broker.pause()
        looker.broker.resume()
    await until(lambda: looks_well(looker))
    assert await looker.names() == names


async def test_a_broker_out_of_memory_shows_and_drops_but_takes_no_step(looker: Looker) -> None:
    names = await looker.put_steps(3)
    with looker.broker.memory_alarm():
        assert await looker.names() == names
        for _ in range(2):
            # The first one finds out, and nobody knows what becomes of its step.
            ended = await looker.letters.requeue([names[0], names[2]])
            assert not ended.done
            assert ended.failed[names[0]]
            assert ended.failed[names[2]] == "not tried after that"
        assert await looker.letters.drop([names[1]]) == done(names[1])
        assert await looker.names() == [names[0], names[2]]
    await until(lambda: _requeued(looker, names[0]))
    assert await looker.names() == [names[2]]
    got = Recorder()
    async with consuming(looker.queue, Lane.ADMISSION, got):
        await until(lambda: len(got.ended) >= 1)
        await asyncio.sleep(0.3)
    # Once, and a copy of the one that was not confirmed.
    assert {step.reference for step in got.steps} == {a_step().reference}
    assert len(got.steps) <= 2


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
    hasty = looker.another(patience=1.5)
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
        for question in (
            hasty.letters.letters(limit=ALL),
            hasty.letters.letter(names[0]),
            hasty.letters.requeue([names[0]]),
            hasty.letters.drop([names[0]]),
        ):
            with pytest.raises(QueueUnavailable, match=r"somebody else .* list_consumers"):
                await question
        # As many as when it was counted last.
        assert await dead(looker.queue) == 4
    assert await looker.names() == names


async def test_who_waits_for_letters_that_are_taken_away_meanwhile_finds_none(
    looker: Looker,
) -> None:
    [name] = await looker.put_steps(1)
    async with looker.another(patience=10).running() as second:
        link = await looker.queue.consuming(timeout=5)
        async with look(link, looker.queue.topology.dead, timeout=10) as looking:
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


STRANGE: list[HeadersType] = [
    {},
    {"x-death": "yes"},
    {"x-death": []},
    {"x-death": ["yes"]},
    {"x-death": [{"queue": 7, "reason": ["x"], "time": "noon", "count": "many"}]},
    {
        "x-death": [
            {"queue": "q" * 5_000, "reason": "r" * 5_000, "time": datetime(9999, 1, 2, tzinfo=UTC)}
        ]
    },
    {"x-death": [{"queue": "\x00\x1b[31m", "reason": "../..", "time": None}]},
]


async def test_what_strangers_put_among_the_dead_is_shown_bounded_and_can_be_dropped(
    looker: Looker,
) -> None:
    await looker.put(
        *(aio_pika.Message(b"no step", headers=headers) for headers in STRANGE),
        # One id for two, and an id that is no name.
        aio_pika.Message(b"one", message_id="the same"),
        aio_pika.Message(b"two", message_id="the same"),
        aio_pika.Message(b"three", message_id="../../%00"),
    )
    letters = await looker.letters.letters(limit=ALL)
    assert len(letters) == len(set(names_of(letters))) == len(STRANGE) + 3
    assert all(len(letter.lane) <= 200 and len(letter.reason) <= 200 for letter in letters)
    [one] = [letter.id for letter in letters if letter.body == b"one"]
    assert await looker.letters.drop([one]) == done(one)
    left = await looker.letters.letters(limit=ALL)
    assert left == [letter for letter in letters if letter.id != one]
    for letter in left:
        assert await looker.letters.drop([letter.id]) == done(letter.id)
    assert await looker.letters.letters(limit=ALL) == []


class Unreadable(Basic.Properties):
    """Properties as no library writes them: the flags, and what they announce."""

    def __init__(self, written: bytes) -> None:
        super().__init__(message_id="not sent")
        self._written = written

    def marshal(self) -> bytes:
        return self._written


UNREADABLE = {
    "an id that is no UTF-8": b"\x00\x80\x02\xff\xfe",
    "a time after all years": b"\x00\x40" + b"\x7f" * 8,
}


@pytest.mark.parametrize("written", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_message_whose_properties_nobody_can_read_is_handled_like_any_other(
    looker: Looker, written: bytes
) -> None:
    step, got = a_step(), Recorder()
    [name] = await looker.put_steps(1)
    async with await aio_pika.connect(looker.broker.url) as other, other.channel() as channel:
        raw = await channel.get_underlay_channel()
        for queue in ("admission", "dead"):
            await raw.basic_publish(
                encode_step(step),
                routing_key=f"{looker.prefix}.{queue}",
                properties=Unreadable(written),
            )
    letters = await looker.letters.letters(limit=ALL)
    assert [letter.step for letter in letters] == [a_step(id="step-0"), step]
    async with consuming(looker.queue, Lane.ADMISSION, got):
        await until(lambda: bool(got.ended))
        assert (await looker.letters.requeue([letters[1].id])).done
        await until(lambda: len(got.ended) == 2)
    assert got.steps[0] == step
    assert await looker.names() == [name]


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


async def test_thousands_of_letters_are_looked_at_in_seconds_and_the_oldest_are_kept(
    looker: Looker,
) -> None:
    await looker.put_steps(2_000)
    letters = await looker.letters.letters(limit=3)
    steps = [letter.step.id for letter in letters if letter.step is not None]
    assert steps == ["step-0", "step-1", "step-2"]
    # A part that was looked at stands behind the rest now; the order is that of death.
    async with await aio_pika.connect(looker.broker.url) as other, other.channel() as channel:
        await channel.set_qos(prefetch_count=10)
        queue = await channel.get_queue(f"{looker.prefix}.dead", ensure=False)
        taken = asyncio.Event()

        async def see(_message: AbstractIncomingMessage) -> None:
            taken.set()

        await queue.consume(see)
        await taken.wait()
    whole = await looker.letters.letters(limit=10_000)
    assert len(whole) == 2_000
    ages = [letter.died_at or 0 for letter in whole]
    assert ages == sorted(ages)


async def test_thousands_of_letters_are_ended_in_one_look_and_told_ones_are_gone(
    patient: Looker,
) -> None:
    # More than 32 acks in a row would wait in the channel, and be lost at its end.
    await patient.put_steps(1_900)
    names = names_of(await patient.letters.letters(limit=MAX_DEAD))
    kept = names[1::3]
    meant = [name for name in names if name not in set(kept)]
    assert await patient.letters.requeue(meant[:900]) == done(*meant[:900])
    assert await patient.letters.drop(meant[900:]) == done(*meant[900:])
    assert await dead(patient.queue) == len(kept)
    assert {*await patient.names()} == {*kept}
    assert len(kept) == 633
    assert await ready(patient.queue, Lane.ADMISSION) == 900


async def test_a_connection_that_is_cut_while_many_are_requeued_loses_none(
    looker: Looker,
) -> None:
    images = {f"registry.example/app:{number}" for number in range(900)}
    await looker.put(*(died(encode_step(a_step(reference=image))) for image in images))
    names = await looker.names()
    for _ in range(3):
        ending = asyncio.create_task(looker.letters.requeue(names))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(looker.broker.ctl, "close_all_connections", "a test")
        with contextlib.suppress(QueueUnavailable):
            ended = await ending
            assert {*ended.done, *ended.missing, *ended.failed} == {*names}
        await until(lambda: looks_well(looker))
    letters = await looker.letters.letters(limit=ALL)
    left = {letter.step.reference for letter in letters if letter.step is not None}
    got = Recorder()
    async with consuming(looker.queue, Lane.ADMISSION, got, concurrency=50):
        await until(lambda: {step.reference for step in got.steps} | left == images)
