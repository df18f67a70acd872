"""A RabbitMQ user for each service: the lines of docs/design/rabbitmq-rights.md, as they stand."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from services.intake.wiring import PUBLISHES as OF_INTAKE
from services.webhook.wiring import PUBLISHES as OF_WEBHOOK
from shared.adapters.rabbitmq.dead import RabbitDeadLetters
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.rabbitmq.topology import Topology
from shared.domain.errors import QueueError, QueueUnavailable
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, encode_step
from shared.ports.steps import Settle
from shared.runtime.clock import SystemClock
from tests.contract.queues import (
    Recorder,
    a_step,
    consuming,
    dead,
    done,
    ready,
    until,
)
from tests.integration.rabbit_process import is_refused
from tests.servers.rabbitmq import RabbitServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers

DOCUMENT = Path(__file__).parents[2] / "docs" / "design" / "rabbitmq-rights.md"
PASSWORD = "s3cret"
USERS = ("webhook", "worker", "intake", "console", "operator")
WRITES = {
    "webhook": frozenset(OF_WEBHOOK),
    "intake": frozenset(OF_INTAKE),
    "console": frozenset(Lane),
    "operator": frozenset(Lane),
}
LOOKERS = ("console", "operator")
"""Who has to do with dead letters."""

OURS = Topology(prefix="imagegate")
EVERYTHING = (OURS.steps, OURS.dead, *map(OURS.lane, Lane), *map(OURS.delay, DELAYS))

Harm = Callable[[AbstractChannel], Awaitable[object]]


class Named(Protocol):
    """Harm to what has that name."""

    def __call__(self, channel: AbstractChannel, /, name: str) -> Awaitable[None]: ...


def commands() -> list[list[str]]:
    """The lines of the document, as a shell reads them, with our password."""
    return [
        shlex.split(line.replace("PASSWORD", PASSWORD))[1:]
        for line in DOCUMENT.read_text().splitlines()
        if re.match(r"rabbitmqctl (add_user|set_permissions) ", line)
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A broker with the users of the document, where nothing is declared yet."""
    broker = RabbitServer(tmp_path_factory.mktemp("broker") / "node")
    try:
        broker.start()
        for words in commands():
            broker.ctl(*words)
        yield broker
    finally:
        broker.stop()


def url_of(server: RabbitServer, user: str) -> str:
    return f"amqp://{user}:{PASSWORD}@127.0.0.1:{server.port}/"


def queue_of(server: RabbitServer, user: str) -> RabbitQueue:
    """The queue as that service makes it."""
    publishes = None if user == "worker" else tuple(WRITES[user])
    return RabbitQueue(url_of(server, user), clock=SystemClock(), publishes=publishes)


@asynccontextmanager
async def as_user(server: RabbitServer, user: str) -> AsyncIterator[RabbitQueue]:
    async with queue_of(server, user).connect() as queue:
        await queue.connected(timeout=PATIENCE)
        yield queue


@pytest.fixture
async def worker(server: RabbitServer) -> AsyncIterator[RabbitQueue]:
    """A worker, whose queues are empty."""
    async with as_user(server, "worker") as queue:
        await _empty(server)
        yield queue


async def _empty(server: RabbitServer) -> None:
    async with await aio_pika.connect(server.url) as owner, owner.channel() as channel:
        for name in EVERYTHING[1:]:
            await (await channel.get_queue(name, ensure=False)).purge()


def test_the_document_has_lines_for_each_service_and_for_no_other() -> None:
    assert [words[1] for words in commands()] == [*USERS, *USERS]


async def test_who_may_declare_nothing_says_who_does_and_goes_on_when_that_was_done(
    server: RabbitServer,
) -> None:
    """The first test here: nothing is declared before it."""
    async with queue_of(server, "webhook").connect() as webhook:
        await until(lambda: is_refused(webhook, "Who declares the queues is the worker"))
        with pytest.raises(QueueUnavailable, match="Who declares the queues is the worker"):
            await webhook.ping()
        async with as_user(server, "worker"):
            await webhook.connected(timeout=PATIENCE)
        await webhook.publish(a_step(Lane.ADMISSION))
        await webhook.ping()


@pytest.mark.parametrize("user", WRITES)
@pytest.mark.parametrize("lane", Lane)
async def test_each_service_publishes_to_its_lanes_and_to_no_other(
    server: RabbitServer, worker: RabbitQueue, user: str, lane: Lane
) -> None:
    async with as_user(server, user) as queue:
        if lane in WRITES[user]:
            await queue.publish(a_step(lane))
            await until(lambda: _holds(worker, lane, 1))
        else:
            with pytest.raises(QueueError, match="see the rights of the user in AMQP_URL"):
                await queue.publish(a_step(lane))
            assert await ready(worker, lane) == 0
        await queue.connected(timeout=PATIENCE)


async def _holds(queue: RabbitQueue, lane: Lane, count: int) -> bool:
    return await ready(queue, lane) == count


async def test_with_one_user_for_all_whoever_comes_first_declares(
    server: RabbitServer, worker: RabbitQueue
) -> None:
    """As it was before there were five, and while all processes are being updated: an earlier
    version's lanes have no exchange of their own."""
    async with await aio_pika.connect(server.url) as owner, owner.channel() as channel:
        for lane in Lane:
            await channel.exchange_delete(f"imagegate.{lane}")
    one = RabbitQueue(server.url, clock=SystemClock(), publishes=OF_WEBHOOK)
    async with one.connect():
        await one.connected(timeout=PATIENCE)
        await one.publish(a_step(Lane.PREWARM))
        assert await ready(worker, Lane.PREWARM) == 1


async def test_what_an_earlier_version_publishes_arrives(
    server: RabbitServer, worker: RabbitQueue
) -> None:
    got, step = Recorder(), a_step(Lane.ADMISSION)
    async with await aio_pika.connect(server.url) as earlier, earlier.channel() as channel:
        steps = await channel.get_exchange("imagegate.steps", ensure=False)
        await steps.publish(aio_pika.Message(encode_step(step)), routing_key="imagegate.admission")
    async with consuming(worker, Lane.ADMISSION, got):
        await until(lambda: got.steps == [step])


@pytest.mark.parametrize("user", WRITES)
async def test_each_service_can_tell_whether_the_queue_is_well(
    server: RabbitServer, worker: RabbitQueue, user: str
) -> None:
    async with as_user(server, user) as queue:
        await queue.ping()


async def test_a_worker_takes_steps_publishes_follow_ups_and_ends_what_cannot_be_done(
    worker: RabbitQueue,
) -> None:
    got, refusing = Recorder(), Recorder(Settle.DEAD)
    async with (
        consuming(worker, Lane.CHECK, got),
        consuming(worker, Lane.PREWARM, refusing),
    ):
        await worker.publish(a_step(Lane.CHECK))
        await worker.publish(a_step(Lane.CHECK), delay=DELAYS[0])
        await worker.publish(a_step(Lane.PREWARM))
        await until(lambda: len(got.steps) == 2 and bool(refusing.steps))
    await until(lambda: _dead_are(worker, 1))


async def _dead_are(queue: RabbitQueue, count: int) -> bool:
    return await dead(queue) == count


async def test_a_worker_declares_again_what_somebody_deleted(
    server: RabbitServer, worker: RabbitQueue
) -> None:
    got = Recorder()
    async with (
        as_user(server, "webhook") as webhook,
        consuming(worker, Lane.ADMISSION, got),
    ):
        await until(lambda: _consumed(worker, Lane.ADMISSION))
        await _delete(server, "imagegate.admission")
        await until(lambda: _published(webhook))
        await until(lambda: bool(got.steps))


async def _consumed(queue: RabbitQueue, lane: Lane) -> bool:
    return any(depth.consumers for depth in (await queue.depths()).lanes if depth.lane is lane)


async def _published(queue: RabbitQueue) -> bool:
    try:
        await queue.publish(a_step(Lane.ADMISSION))
    except QueueError:
        return False
    return True


async def _delete(server: RabbitServer, name: str) -> None:
    async with await aio_pika.connect(server.url) as owner, owner.channel() as channel:
        await channel.queue_delete(name)


@pytest.mark.parametrize("user", LOOKERS)
async def test_who_looks_counts_everything_and_ends_dead_letters(
    server: RabbitServer, worker: RabbitQueue, user: str
) -> None:
    async with consuming(worker, Lane.PREWARM, Recorder(Settle.DEAD)):
        await worker.publish(a_step(Lane.PREWARM))
        await worker.publish(a_step(Lane.PREWARM))
        await until(lambda: _dead_are(worker, 2))
    async with as_user(server, user) as queue:
        assert await dead(queue) == 2
        letters = RabbitDeadLetters(queue=queue, clock=SystemClock())
        first, second = [letter.id for letter in await letters.letters(limit=10)]
        assert await letters.drop([first]) == done(first)
        assert await letters.requeue([second]) == done(second)
        assert await ready(queue, Lane.PREWARM) == 1


async def _take(channel: AbstractChannel, name: str) -> None:
    await (await channel.get_queue(name, ensure=False)).get(fail=False)


async def _consume(channel: AbstractChannel, name: str) -> None:
    async def never(_message: object) -> None:
        raise AssertionError("nobody gets anything here")

    await (await channel.get_queue(name, ensure=False)).consume(never)


async def _purge(channel: AbstractChannel, name: str) -> None:
    await (await channel.get_queue(name, ensure=False)).purge()


async def _unbind(channel: AbstractChannel, name: str) -> None:
    await (await channel.get_queue(name, ensure=False)).unbind("imagegate.steps", routing_key=name)


async def _steal(channel: AbstractChannel, name: str) -> None:
    """Have what goes to a lane come into another, too."""
    await (await channel.get_queue("imagegate.prewarm", ensure=False)).bind(name)


async def _exchange(channel: AbstractChannel, name: str) -> None:
    await channel.exchange_delete(name)


async def _queue(channel: AbstractChannel, name: str) -> None:
    await channel.queue_delete(name)


HARM: dict[str, Named] = {
    "take": _take,
    "consume": _consume,
    "purge": _purge,
    "unbind": _unbind,
    "steal": _steal,
    "delete the exchange": _exchange,
    "delete the queue": _queue,
}
FROM_THE_DEAD = {"take", "consume", "purge", "steal"}
"""What a right to read the dead letters brings with it: the document says so."""


@pytest.mark.parametrize("user", WRITES)
async def test_who_has_a_stolen_password_can_do_no_harm_to_what_is_there(
    server: RabbitServer, worker: RabbitQueue, user: str
) -> None:
    async with await aio_pika.connect(url_of(server, user)) as thief:
        for name in EVERYTHING:
            for what, harm in HARM.items():
                if user in LOOKERS and name == "imagegate.dead" and what in FROM_THE_DEAD:
                    continue
                await _is_refused(thief.channel(), partial(harm, name=name), what)


@pytest.mark.parametrize("user", WRITES)
async def test_who_has_a_stolen_password_finds_no_way_around_the_lanes(
    server: RabbitServer, worker: RabbitQueue, user: str
) -> None:
    async def past(channel: AbstractChannel, exchange: str) -> None:
        found = await channel.get_exchange(exchange, ensure=False)
        await found.publish(aio_pika.Message(b"x"), routing_key="imagegate.check")

    ways: dict[str, Harm] = {
        "the default exchange": lambda c: c.default_exchange.publish(
            aio_pika.Message(b"x"), routing_key="imagegate.check"
        ),
        "the exchange of delays": lambda c: past(c, "imagegate.steps"),
        "the dead letters": lambda c: past(c, "imagegate.dead"),
        "a topic of the broker's": lambda c: past(c, "amq.topic"),
        "a queue of its own": lambda c: c.declare_queue("", exclusive=True),
        "a queue with our name": lambda c: c.declare_queue("imagegate.mine", durable=True),
        "an exchange of its own": lambda c: c.declare_exchange("mine", durable=True),
    }
    if user not in LOOKERS:
        ways["a delay"] = lambda c: past(c, "imagegate.delay.1s")
    async with await aio_pika.connect(url_of(server, user)) as thief:
        for way, harm in ways.items():
            await _is_refused(thief.channel(), harm, way)
    await asyncio.sleep(0)
    assert await ready(worker, Lane.CHECK) == 0


async def _is_refused(channel: AbstractChannel, harm: Harm, what: str) -> None:
    """Each on a channel of its own: a refusal closes it."""
    await channel.initialize()
    refused = False
    try:
        await harm(channel)
    except ChannelAccessRefused:
        refused = True
    assert refused, what


@pytest.mark.parametrize("user", USERS)
def test_nobody_may_use_the_management_page(server: RabbitServer, user: str) -> None:
    (tags,) = re.findall(rf"^{user}\t(.*)$", server.ctl("list_users"), re.MULTILINE)
    assert tags == "[]"
