"""Calls into the AMQP library that always come back, and come back with our errors.

Left alone the library waits for ever on a hung or blocked broker, closes that neither end nor
obey cancellation included, and ends the calls of a lost connection with a cancellation that
nobody asked for (docs/design/broker-facts.md 2, 3, 8.17, 8.18).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity
from aiormq.exceptions import ChannelAccessRefused

from shared.domain.errors import QueueUnavailable

T = TypeVar("T")

BROKER_ERRORS = (*CONNECTION_EXCEPTIONS, TimeoutError, EOFError)
"""What the library raises for a broker that is away, refuses, or cuts us off."""

CLOSE_TIMEOUT = 3.0

_left_behind: set[asyncio.Future[Any]] = set()
"""Calls that outlive their caller, kept from being garbage while they run."""


def background(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run `work` in a task that ends by itself; nobody has to keep it."""
    task = asyncio.create_task(work, name=name)
    _left_behind.add(task)
    task.add_done_callback(_forget)
    return task


async def answer(
    call: Coroutine[Any, Any, T], *, timeout: float, what: str, leave: bool = False
) -> T:
    """The result of `call`; QueueUnavailable if it fails or takes over `timeout` seconds.

    Our own cancellation cancels the call and passes. With `leave` the call is never cancelled,
    and goes on when nobody waits for it any more: so it must be on a channel with deliveries
    under way. There a cancelled call ends the channel's reader, the next frames find nobody, and
    the whole connection stands still until a heartbeat is missed (docs/design/queue.md).
    """
    task = background(call, name=what)
    try:
        await asyncio.wait({task}, timeout=timeout)
    finally:
        if not leave:
            task.cancel()
    if not task.done():
        raise QueueUnavailable(f"{what}: no answer from the broker in {timeout:g} s")
    if task.cancelled():
        raise QueueUnavailable(f"{what}: the connection to the broker was closed")
    try:
        return task.result()
    except Exception as error:
        if not broke(error):
            raise
        raise QueueUnavailable(f"{what}: {describe(error)}") from error


def broke(error: BaseException) -> bool:
    """Whether the broker, or the end of the connection to it, is what `error` tells of.

    Calls that are under way when a connection is closed in good order get an `Exception` of
    the library's that is nothing more than that.
    """
    return isinstance(error, BROKER_ERRORS) or type(error) is Exception


def missing(error: QueueUnavailable) -> bool:
    """Whether a queue is not there that should be: somebody deleted it."""
    return isinstance(error.__cause__, ChannelNotFoundEntity)


def refused(error: QueueUnavailable) -> bool:
    """Whether the broker does not let our user do it."""
    return isinstance(error.__cause__, ChannelAccessRefused)


def describe(error: BaseException) -> str:
    """One line about an error of the library, some of which have no text."""
    if type(error) is Exception:
        return "the connection was closed"
    if isinstance(error, ChannelAccessRefused):
        return f"{error}: see the rights of the user in AMQP_URL (docs/design/rabbitmq-rights.md)"
    return f"{type(error).__name__}: {error}" if str(error) else repr(error)


async def shut(closing: Awaitable[None], *, leave: bool = False) -> bool:
    """Close something, in at most CLOSE_TIMEOUT seconds, whatever comes; whether it is closed.

    `leave` as in `answer`: it goes on closing.
    """
    task = asyncio.ensure_future(closing)
    _left_behind.add(task)
    task.add_done_callback(_forget)
    await asyncio.wait({task}, timeout=CLOSE_TIMEOUT)
    if task.done():
        return True
    if not leave:
        task.cancel()
    return False


async def open_channel(
    connection: AbstractConnection, *, timeout: float, confirms: bool = False
) -> AbstractChannel:
    """A channel; with `confirms` one to publish on, where what is returned raises."""

    async def opened() -> AbstractChannel:
        channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize()
        return channel

    return await answer(opened(), timeout=timeout, what="open a channel")


@asynccontextmanager
async def spare_channel(
    connection: AbstractConnection, *, timeout: float
) -> AsyncIterator[AbstractChannel]:
    """A channel for questions: what goes wrong on it closes nothing else."""
    channel = await open_channel(connection, timeout=timeout)
    try:
        yield channel
    finally:
        await shut(channel.close())


async def unblocked(connection: AbstractConnection, *, patience: float = 0.01) -> None:
    """Raise QueueUnavailable while the broker's memory or disk alarm blocks the connection.

    What is published meanwhile would arrive later, all at once (broker-facts.md 8.14).
    """
    transport = connection.transport
    if transport is None:
        raise QueueUnavailable("the connection to the broker was closed")
    try:
        async with asyncio.timeout(patience):
            await transport.ready()
    except TimeoutError as error:
        raise QueueUnavailable(
            "the broker takes no messages (memory or disk alarm): free its memory or disk"
        ) from error


def _forget(task: asyncio.Future[Any]) -> None:
    _left_behind.discard(task)
    if not task.cancelled():
        task.exception()
