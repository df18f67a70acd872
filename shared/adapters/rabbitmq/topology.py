"""The exchanges and queues, with the arguments that were tried (docs/design/broker-facts.md 7).

A delay is a fanout exchange before a queue whose messages all expire after the same time and
leave it, with the routing key they came with, to the exchange of the lanes: so one delay queue
serves all lanes. Whoever publishes without a delay does so to an exchange of the lane's own: rights
to write are given by exchange, and the one of the lanes would open all of them
(docs/design/rabbitmq-rights.md). Declaring twice is harmless; with other arguments than before it
is refused.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

from shared.adapters.handling import RESOLVE_LIFE, cap
from shared.adapters.rabbitmq.calls import answer, refused, spare_channel
from shared.domain.errors import QueueUnavailable
from shared.domain.retry import DELAYS
from shared.domain.step import Lane
from shared.ports.steps import MAX_DEAD, Depths, LaneDepth

MAX_DELIVERIES = 20
"""Deliveries end uncounted work only by crashes: retries are fresh messages (8.6)."""

MAX_RESOLVE_DELIVERIES = 2

MAX_LOOKS = 1_000_000_000
"""Each look at a dead letter is a delivery, and who goes over the limit is gone for good. 4.x has
a limit of 20 where none is given. -1 is no limit there, but on 3.10 it is the end of a message
that was looked at once (docs/design/queue.md)."""

DEAD_PATIENCE = 1.5
"""Seconds that the count of dead letters waits for those who look at them."""
DEAD_PAUSE = 0.02

DECLARE_TIMEOUT = 15.0
"""Some forty questions, about 70 ms on an idle broker."""

_QUORUM = {"x-queue-type": "quorum"}
_REFUSING = {"x-overflow": "reject-publish"}
_SURELY = {"x-dead-letter-strategy": "at-least-once"}


class Topology:
    """The names under one prefix, and how they are declared and looked at."""

    def __init__(self, *, prefix: str, max_ready: int | None = None) -> None:
        self.steps = f"{prefix}.steps"
        """Where delays end, and where earlier versions publish to."""
        self.dead = f"{prefix}.dead"
        self._dead_before = 0
        """Dead letters when they were last counted with nobody looking."""
        self._prefix = prefix
        self._max_ready = max_ready

    def lane(self, lane: Lane) -> str:
        """The lane's queue, its routing key, and the exchange before it."""
        return f"{self._prefix}.{lane}"

    def delay(self, delay: int) -> str:
        """The delay's queue, and the exchange before it."""
        span = f"{delay}s" if delay < 60 else f"{delay // 60}m"
        return f"{self._prefix}.delay.{span}"

    async def declare(self, connection: AbstractConnection) -> None:
        """Make what is missing; raises QueueUnavailable."""
        async with spare_channel(connection, timeout=DECLARE_TIMEOUT) as channel:
            try:
                await answer(
                    self._declare(channel), timeout=DECLARE_TIMEOUT, what="declare the queues"
                )
            except QueueUnavailable as error:
                if refused(error):
                    raise QueueUnavailable(
                        f"{error}. Who declares the queues is the worker: start one, or look why "
                        "it does not"
                    ) from error
                if "PRECONDITION" not in str(error):
                    raise
                raise QueueUnavailable(
                    f"{error}. The queue exists with other arguments: give every process the "
                    "same version and settings. One that an older version left behind is declared "
                    "again once it is deleted (rabbitmqctl delete_queue NAME): a lane after it has "
                    f"run empty, {self.dead} with the dead letters in it"
                ) from error

    async def find(self, connection: AbstractConnection, lanes: Collection[Lane]) -> None:
        """Look whether `lanes` are there; raises QueueUnavailable. Needs no right but to write to
        them."""
        async with spare_channel(connection, timeout=DECLARE_TIMEOUT) as channel:
            await answer(
                self._find(channel, lanes), timeout=DECLARE_TIMEOUT, what="look for the queues"
            )

    async def delays_end(self, connection: AbstractConnection, *, timeout: float) -> None:
        """Look whether there is an exchange where delays end: nobody publishes there, who would
        miss it. Raises QueueUnavailable."""
        async with spare_channel(connection, timeout=timeout) as channel:
            looking = channel.declare_exchange(self.steps, passive=True)
            await answer(looking, timeout=timeout, what=f"look for {self.steps}")

    async def depths(self, connection: AbstractConnection, *, timeout: float) -> Depths:
        """Count by passive declares: what is ready, now; raises QueueUnavailable.

        While somebody has the dead letters in hand to look at them they are not ready; that is
        mostly over in a moment, and waited for.
        """
        async with spare_channel(connection, timeout=timeout) as channel:
            return await answer(self._depths(channel), timeout=timeout, what="count the steps")

    async def ready(self, connection: AbstractConnection, lane: Lane, *, timeout: float) -> int:
        """How many steps of `lane` are ready; raises QueueUnavailable."""
        name = self.lane(lane)
        async with spare_channel(connection, timeout=timeout) as channel:
            ready, _ = await answer(count(channel, name), timeout=timeout, what=f"look at {name}")
        return ready

    async def _declare(self, channel: AbstractChannel) -> None:
        # Targets before sources: nothing may expire into an exchange without a queue.
        await channel.declare_exchange(self.dead, ExchangeType.FANOUT, durable=True)
        await self._queue(channel, self.dead, self.dead, _dead_arguments())
        await channel.declare_exchange(self.steps, ExchangeType.DIRECT, durable=True)
        for lane in Lane:
            queue = await self._queue(
                channel, self.lane(lane), self.steps, self._lane_arguments(lane)
            )
            await channel.declare_exchange(queue.name, ExchangeType.FANOUT, durable=True)
            await queue.bind(queue.name)
        for delay in DELAYS:
            name = self.delay(delay)
            await channel.declare_exchange(name, ExchangeType.FANOUT, durable=True)
            await self._queue(channel, name, name, self._delay_arguments(delay))

    async def _queue(
        self, channel: AbstractChannel, name: str, exchange: str, arguments: dict[str, Any]
    ) -> AbstractQueue:
        queue = await channel.declare_queue(name, durable=True, arguments=arguments)
        await queue.bind(exchange, routing_key=name)
        return queue

    async def _find(self, channel: AbstractChannel, lanes: Collection[Lane]) -> None:
        for lane in lanes:
            await channel.declare_exchange(self.lane(lane), passive=True)
            await channel.declare_queue(self.lane(lane), passive=True)

    def _lane_arguments(self, lane: Lane) -> dict[str, Any]:
        limits = {**_QUORUM, **_REFUSING, "x-max-length": cap(lane, max_ready=self._max_ready)}
        if lane is Lane.RESOLVE:
            # No dead letters: every expired question would become one (8.2).
            return {
                **limits,
                "x-delivery-limit": MAX_RESOLVE_DELIVERIES,
                "x-message-ttl": int(RESOLVE_LIFE * 1000),
            }
        return {
            **limits,
            **_SURELY,
            "x-delivery-limit": MAX_DELIVERIES,
            "x-dead-letter-exchange": self.dead,
        }

    def _delay_arguments(self, delay: int) -> dict[str, Any]:
        return {
            **_QUORUM,
            **_REFUSING,
            **_SURELY,
            "x-message-ttl": delay * 1000,
            "x-dead-letter-exchange": self.steps,
        }

    async def _depths(self, channel: AbstractChannel) -> Depths:
        lanes = []
        for lane in Lane:
            ready, consumers = await count(channel, self.lane(lane))
            lanes.append(LaneDepth(lane=lane, ready=ready, consumers=consumers))
        delayed = {delay: (await count(channel, self.delay(delay)))[0] for delay in DELAYS}
        return Depths(lanes=tuple(lanes), delayed=delayed, dead=await self._dead(channel))

    async def _dead(self, channel: AbstractChannel) -> int:
        """How many dead letters there are; the last number while somebody keeps looking at them."""
        loop = asyncio.get_running_loop()
        until = loop.time() + DEAD_PATIENCE
        ready, lookers = await count(channel, self.dead)
        while lookers and loop.time() < until:
            await asyncio.sleep(DEAD_PAUSE)
            ready, lookers = await count(channel, self.dead)
        if lookers:
            return max(ready, self._dead_before)
        self._dead_before = ready
        return ready


def _dead_arguments() -> dict[str, Any]:
    return {
        **_QUORUM,
        # Never full: a full one would stop the lanes that reject into it (broker-facts.md 1).
        "x-max-length": MAX_DEAD,
        "x-overflow": "drop-head",
        "x-delivery-limit": MAX_LOOKS,
        # Whoever looks has all of them, one after the other (look.py).
        "x-single-active-consumer": True,
    }


async def count(channel: AbstractChannel, name: str) -> tuple[int, int]:
    """How many messages of a queue are ready, and how many consumers it has."""
    queue = await channel.declare_queue(name, passive=True)
    found = queue.declaration_result
    return found.message_count or 0, found.consumer_count or 0
