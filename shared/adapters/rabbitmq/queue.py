"""The queue of steps on RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from aio_pika.abc import AbstractConnection

from shared.adapters.crew import Crew, drain
from shared.adapters.handling import Handling, OnEvent, check_publish, handed_over, ignore
from shared.adapters.rabbitmq.calls import missing, unblocked
from shared.adapters.rabbitmq.consumer import LaneConsumer
from shared.adapters.rabbitmq.flights import Flights
from shared.adapters.rabbitmq.link import Link, LinkSettings
from shared.adapters.rabbitmq.publisher import DOUBT, Publisher
from shared.adapters.rabbitmq.topology import Topology
from shared.domain.errors import QueueUnavailable
from shared.domain.step import Lane, Step
from shared.ports.carried import Carried
from shared.ports.clock import Clock
from shared.ports.steps import Depths, Handler

ASK_TIMEOUT = 3.0


class RabbitQueue:
    """`StepQueue` on a broker, which may come, go and hang as it likes.

        async with RabbitQueue("amqp://...", clock=clock).connect() as queue:
            await queue.publish(step)

    `connect` does not wait for the broker: until it is there `publish` raises QueueUnavailable
    at once, and `consume` waits. Publishing has a connection of its own; the one for consuming,
    with a channel a lane, is opened by the first `consume`.

    `url` is `amqp://user:password@host:5672/vhost` or `amqps://...`; else InvalidSettings.
    `prefix` stands before every name on the broker. Times are seconds: `confirm_timeout` bounds
    `publish` (0.1 for a webhook, 5 for a worker); a hung broker is noticed after three times
    `heartbeat` and a second; the channel of a lane where nothing happens is made anew each
    `renew_idle`; a confirm that never came fails `ping` for `doubt`. `max_ready` is for tests,
    since every process must declare the same.
    `publishes`: the lanes that this process publishes to, where another one declares the queues.
    Then it looks whether these are there, and declares only what nobody has declared, if its user
    may (docs/design/rabbitmq-rights.md). None: it declares all of them.
    `on_event` counts what happens to deliveries.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        prefix: str = "imagegate",
        confirm_timeout: float = 5.0,
        heartbeat: int = 10,
        reconnect_interval: float = 1.0,
        connect_timeout: float = 3.0,
        renew_idle: float = 60.0,
        doubt: float = DOUBT,
        max_ready: int | None = None,
        publishes: Collection[Lane] | None = None,
        on_event: OnEvent = ignore,
    ) -> None:
        settings = LinkSettings(
            url=url,
            heartbeat=heartbeat,
            reconnect_interval=reconnect_interval,
            connect_timeout=connect_timeout,
        )
        self.carried = Carried()
        self._clock = clock
        self._on_event = on_event
        self.topology = Topology(prefix=prefix, max_ready=max_ready)
        self._publisher = Publisher(
            settings,
            topology=self.topology,
            prepare=self._prepare,
            confirm_timeout=confirm_timeout,
            on_event=on_event,
            doubt=doubt,
        )
        self._consuming = Link(settings, name="imagegate consume", prepare=self._prepare)
        self._publishes = publishes
        self._renew_idle = renew_idle
        self._flights = Flights()
        self._crews: set[Crew] = set()
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._open = False
        self._draining = False

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Self]:
        """Keep the connections while the block runs; closing takes seconds at most."""
        self._open = True
        self._start(self._publisher.link)
        try:
            yield self
        finally:
            self._open = False
            await self.drain(timeout=0)
            for task in self._links.values():
                task.cancel()
            await asyncio.gather(*self._links.values(), return_exceptions=True)
            self._links.clear()

    async def connected(self, *, timeout: float) -> None:
        """Wait until steps can be published; raises QueueUnavailable."""
        try:
            async with asyncio.timeout(timeout):
                await self._publisher.link.usable.wait()
        except TimeoutError:
            _ = self._publisher.link.connection  # says why there is none

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        """Queue `step` as the port says.

        QueueUnconfirmed also when the connection is lost under a publish. A step of the resolve
        lane counts as queued when nothing is heard within 10 ms.
        """
        check_publish(step, delay=delay, expires_in=expires_in)
        queued = handed_over(step, delay=delay, now=self._clock.now())
        await self._publisher.publish(queued, delay=delay, expires_in=expires_in)
        self.carried.published(step, delay=delay)

    async def consume(self, lane: Lane, handler: Handler, *, concurrency: int) -> None:
        """Hand deliveries to `handler` until drained, through any number of reconnects."""
        crew = Crew(size=concurrency, name=f"handle {lane}")
        if self._draining:
            return
        self._consume()
        handling = Handling(
            lane=lane,
            handler=handler,
            clock=self._clock,
            carried=self.carried,
            on_event=self._on_event,
        )
        consumer = LaneConsumer(
            link=self._consuming,
            topology=self.topology,
            crew=crew,
            handling=handling,
            flights=self._flights,
            renew_idle=self._renew_idle,
        )
        self._crews.add(crew)
        try:
            await consumer.run()
        finally:
            # Reached with handlers running only when the caller cancels.
            crew.cancel()
            crew.gone.set()
            self._crews.discard(crew)

    async def drain(self, *, timeout: float) -> None:
        """End every `consume`; no later one takes anything."""
        self._draining = True
        await drain(self._crews, timeout=timeout)

    async def depths(self) -> Depths:
        """Ready steps and consumers, by passive declares; raises QueueUnavailable.

        Who declares finds out here, too, that somebody deleted the exchange where delays end.
        """
        connection = self._consuming.current or await self._publishing()
        with self.healing():
            if self._publishes is None:
                await self.topology.delays_end(connection, timeout=ASK_TIMEOUT)
            return await self.topology.depths(connection, timeout=ASK_TIMEOUT)

    async def ping(self) -> None:
        """Raises QueueUnavailable when steps cannot be published or, if wanted, consumed.

        That is: no connection, a blocked one, no answer to a question, or a queue that
        confirms nothing on a healthy connection.
        """
        await self._publisher.check()
        wanted = self._consuming in self._links
        connection = self._consuming.connection if wanted else await self._publishing()
        # Brokers let look only those who may do something there (docs/design/rabbitmq-rights.md).
        lane = next(iter(self._publishes or ()), Lane.ADMISSION)
        await self.topology.ready(connection, lane, timeout=ASK_TIMEOUT)

    async def consuming(self, *, timeout: float) -> Link:
        """The link for consuming, opened where it is not yet; raises QueueUnavailable.

        Nothing is published on it, so that no alarm of the broker's blocks it.
        """
        self._consume()
        try:
            async with asyncio.timeout(timeout):
                await self._consuming.usable.wait()
        except TimeoutError:
            _ = self._consuming.connection  # says why there is none
        return self._consuming

    @contextmanager
    def healing(self) -> Iterator[None]:
        """Have a queue that is found to be missing declared again; the error passes.

        Nobody publishes to that of the dead letters: what lanes reject would wait, and fill them.
        """
        try:
            yield
        except QueueUnavailable as error:
            if missing(error):
                self._publisher.heal()
            raise

    async def _prepare(self, connection: AbstractConnection) -> None:
        """Have the queues there, on a new connection."""
        if self._publishes is not None:
            try:
                await self.topology.find(connection, self._publishes)
            except QueueUnavailable as error:
                if not missing(error):
                    raise
            else:
                return
        await self.topology.declare(connection)

    async def _publishing(self) -> AbstractConnection:
        """The publishing connection, unless a question would hang there."""
        connection = self._publisher.link.connection
        await unblocked(connection)
        return connection

    def _consume(self) -> None:
        if not self._open:
            raise QueueUnavailable("consuming needs the queue's connections: enter connect() first")
        self._start(self._consuming)

    def _start(self, link: Link) -> None:
        if link not in self._links:
            self._links[link] = asyncio.create_task(link.run(), name=link.name)
