"""One lane's consumer: a channel of its own, made again for as long as it is wanted."""

import asyncio
import logging

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aiormq.abc import AbstractChannel as UnderlayChannel

from shared.adapters.crew import Crew
from shared.adapters.handling import Handling, QueueEvent
from shared.adapters.rabbitmq.calls import answer, background, broke, open_channel, shut
from shared.adapters.rabbitmq.flights import Flights
from shared.adapters.rabbitmq.link import Link
from shared.adapters.rabbitmq.topology import Topology
from shared.domain.errors import QueueUnavailable
from shared.domain.step import Step
from shared.ports.steps import Settle

log = logging.getLogger(__name__)

RPC_TIMEOUT = 5.0
RETRY_PAUSE = 1.0


class LaneConsumer:
    """Hands what the broker delivers to the crew, whose size is the prefetch."""

    def __init__(
        self,
        *,
        link: Link,
        topology: Topology,
        crew: Crew,
        handling: Handling,
        flights: Flights,
        renew_idle: float,
    ) -> None:
        self._link = link
        self._topology = topology
        self._crew = crew
        self._handling = handling
        self._flights = flights
        self._renew_idle = renew_idle
        self._queue = topology.lane(handling.lane)
        self._deliveries = 0

    async def run(self) -> None:
        """Consume until the crew is stopping, and wait for its handlers."""
        while not self._crew.stopping.is_set():
            connection = await self._connected()
            if connection is None:
                break
            try:
                await self._session(connection)
            except QueueUnavailable as error:
                await self._mend(connection, error)
        await self._crew.finished()

    async def _connected(self) -> AbstractConnection | None:
        """The connection, or None when the crew is stopping first."""
        while self._link.current is None and not self._crew.stopping.is_set():
            await self._crew.pause(None, unless=self._link.usable)
        return self._link.current

    async def _session(self, connection: AbstractConnection) -> None:
        """Consume on one channel for as long as it is good."""
        channel = await open_channel(connection, timeout=RPC_TIMEOUT)
        try:
            lost = await _watched(channel)
            tag = await self._begin(channel)
            await self._until_over(lost)
            queue = await channel.get_queue(self._queue, ensure=False)
            await answer(queue.cancel(tag), timeout=RPC_TIMEOUT, what="cancel the consumer")
            # Acks go through this channel, so it stays open for them.
            await self._crew.finished()
        finally:
            # What is unsettled goes back to the queue with it.
            await shut(channel.close())

    async def _until_over(self, lost: asyncio.Event) -> None:
        """Wait until the crew is stopping, or nothing has come for `renew_idle` seconds.

        Raises QueueUnavailable when the broker ends the consumer. It may also lose one without
        a word (see `publisher.HEAL_PAUSE`): to a program that looks like an idle lane, and only
        a new channel helps.
        """
        while not self._crew.stopping.is_set():
            before = self._deliveries
            await self._crew.pause(self._renew_idle, unless=lost)
            if lost.is_set():
                raise QueueUnavailable(f"{self._queue}: the broker ended the consumer")
            if self._deliveries == before and self._crew.idle:
                return

    async def _begin(self, channel: AbstractChannel) -> str:
        what = f"consume from {self._queue}"
        await answer(
            channel.set_qos(prefetch_count=self._crew.size), timeout=RPC_TIMEOUT, what=what
        )
        queue = await channel.get_queue(self._queue, ensure=False)
        return await answer(queue.consume(self._delivered), timeout=RPC_TIMEOUT, what=what)

    async def _mend(self, connection: AbstractConnection, error: QueueUnavailable) -> None:
        """Wait a little; if it was not the connection, declare a queue that somebody deleted."""
        await self._crew.pause(RETRY_PAUSE)
        if self._crew.stopping.is_set() or connection is not self._link.current:
            return
        log.warning("consumer lost, making it again: %s", error)
        try:
            await self._topology.declare(connection)
        except QueueUnavailable as trouble:
            log.warning("the queues could not be declared: %s", trouble)

    async def _delivered(self, message: AbstractIncomingMessage) -> None:
        self._deliveries += 1
        # A task of ours: the library cancels its own when the channel closes, and a handler
        # must not lose its work to a reconnect.
        self._handling.in_hand(self._crew.start(self._deliver(message)))

    async def _deliver(self, message: AbstractIncomingMessage) -> None:
        if message.redelivered:
            self._handling.count(QueueEvent.REDELIVERED)
        step = self._handling.read(message.body)
        if isinstance(step, Settle):
            await self._settle(message, step)
            return
        if self._flights.has(step):
            self._handling.count(QueueEvent.COPY)
        settle = await self._flights.run(step, self._handle)
        if not await self._settle(message, settle):
            self._flights.keep(step, settle)

    async def _handle(self, step: Step) -> Settle:
        """Run the handler; slots bound it beyond the prefetch, which starts anew at a reconnect."""
        async with self._crew.slots:
            if self._crew.stopping.is_set():
                raise asyncio.CancelledError("draining: left to the next consumer")
            return await self._handling.run(step)

    async def _settle(self, message: AbstractIncomingMessage, settle: Settle) -> bool:
        """Tell the broker; whether it was told. Our own cancellation does not stop it."""
        ending = message.ack() if settle is Settle.ACK else message.reject(requeue=False)
        task = background(ending, name="settle")
        await asyncio.wait({task}, timeout=RPC_TIMEOUT)
        if task.done() and not task.cancelled():
            error = task.exception()
            if error is None:
                return True
            if not broke(error):
                raise error
        self._handling.count(QueueEvent.STALE)
        return False


async def _watched(channel: AbstractChannel) -> asyncio.Event:
    """Set when the channel closes, or the broker cancels a consumer (its queue was deleted)."""
    lost = asyncio.Event()
    channel.close_callbacks.add(lambda *_: lost.set())
    underlay: UnderlayChannel = await channel.get_underlay_channel()
    underlay.on_consumer_cancel_callbacks.add(lambda _frame: lost.set())
    return lost
