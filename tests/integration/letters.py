"""Who looks at the dead letters of a broker that a test maltreats, and what they are called."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika

from shared.adapters.rabbitmq.dead import RabbitDeadLetters
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.errors import QueueError
from shared.domain.step import encode_step
from shared.ports.steps import DeadLetter
from shared.runtime.clock import SystemClock
from tests.contract.queues import a_step
from tests.servers.rabbitmq import RabbitServer
from tests.waiting import PATIENCE

ALL = 1_000


class Looker:
    """One process of ours that looks at dead letters.

    As long as a busy machine needs for that, unless a test asks what becomes of one in a hurry.
    """

    def __init__(
        self,
        broker: RabbitServer,
        prefix: str,
        *,
        patience: float = PATIENCE,
        confirm_timeout: float = PATIENCE,
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
            await self.queue.connected(timeout=PATIENCE)
            yield self

    def another(self, *, patience: float = PATIENCE, confirm_timeout: float = PATIENCE) -> "Looker":
        return Looker(self.broker, self.prefix, patience=patience, confirm_timeout=confirm_timeout)

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
