"""A look at a queue: all its messages in hand for a moment, and given back.

AMQP has no way to read a queue and leave it as it is. So whoever looks takes every message,
settles none, and closes the channel: then all of them are back, in their order, in one stroke
of the broker's, also when the process dies half-way. The queue has a single active consumer:
of those who look at once each has its turn and finds everything. And where nobody consumes,
everything is ready: so its passive declare tells how much there is, or that somebody looks.
It does not tell who waits for a turn, nor whose turn it is (docs/design/queue.md).
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.adapters.rabbitmq.calls import answer, open_channel, shut
from shared.adapters.rabbitmq.link import Link
from shared.adapters.rabbitmq.topology import count
from shared.domain.errors import QueueUnavailable
from shared.ports.steps import MAX_DEAD

MAX_TAKEN = 2 * MAX_DEAD
"""The cap counts what is ready: while all is in hand, as much again may come."""

STROKES = 30
"""Commands to a queue that are surely sent: from 32 on without an answer the broker keeps them in
the channel, and loses them with it (docs/design/queue.md)."""

PAUSE = 0.01
"""Seconds between two questions whether there is more."""

QUIET = 0.1
"""Seconds without a message after which nothing more is on its way."""

LINE_AFTER = 0.3
"""Seconds, about, that somebody else may look before we stand in the line behind him."""

TURN = 1.0
"""Seconds in the line. Longer than a look mostly takes; and after it everybody is out of the line
for a moment, since nothing ever comes to those who stand there for what was taken away."""

RPC_TIMEOUT = 1.0
"""Seconds that the broker has for an answer, at least, also at the end of a look."""

SETTLE_TIME = 5.0
"""Seconds, at least, to remove what was found late: 10 000 messages take one or two."""

See = Callable[[AbstractIncomingMessage], bool]
"""Looks at a message and says whether it has seen enough. Never raises."""


@asynccontextmanager
async def look(link: Link, queue: str, *, timeout: float) -> AsyncIterator["Look"]:
    """Look at `queue` for `timeout` seconds at most; raises QueueUnavailable.

    At the end all that was not settled is given back.
    """
    looking = Look(link, queue, until=asyncio.get_running_loop().time() + timeout)
    try:
        yield looking
    finally:
        await looking.give_back()


class Look:
    """What one channel has in hand of one queue."""

    def __init__(self, link: Link, queue: str, *, until: float) -> None:
        self.seen = 0
        """Messages so far."""
        self._link = link
        self._connection = link.connection
        self._queue = queue
        self._until = until
        self._what = f"look at {queue}"
        self._channel: AbstractChannel | None = None
        self._enough = False
        self._arrived = asyncio.Event()
        self._last_arrival = 0.0

    async def through(self, see: See) -> bool:
        """Show `see` one message after the other; whether it had enough, or saw all there are."""
        lives = False
        try:
            while self._left() > 0:
                self._channel = await open_channel(self._connection, timeout=self._timeout())
                ready, consumers = await self._chance(self._channel)
                if lives and not ready and not consumers:
                    return True
                await self._take(self._channel, see)
                # A queue that has no leader is told to be empty, but takes no consumer.
                lives = True
                if await self._turn(TURN if ready or consumers else 0):
                    # Of what others have in hand nobody knows how much it is.
                    return await self._all(self._channel, None if consumers else ready)
                await self.give_back()
        except QueueUnavailable:
            # Out of time behind all that was still coming: what was seen was seen.
            if not self.seen or self._left() > 0:
                raise
        return False

    async def settle(self, messages: Collection[AbstractIncomingMessage]) -> None:
        """Remove messages for good, in one stroke; to be called STROKES times at most.

        Raises QueueUnavailable: then they may be there again.
        """
        channel = self._channel
        assert channel is not None, "only what is in hand can be settled"
        what = f"remove {len(messages)} messages from {self._queue}"

        async def removed() -> None:
            raw = await channel.get_underlay_channel()
            # The acks of a transaction are one command to the queue.
            await raw.tx_select()
            for message in messages:
                await message.ack()
            await raw.tx_commit()
            # That one has no answer; but what comes after it is answered after it.
            await count(channel, self._queue)

        timeout = max(self._left(), SETTLE_TIME)
        await answer(removed(), timeout=timeout, what=what, leave=True)

    async def give_back(self) -> None:
        """Close the channel, and with it the consumer, in one stroke."""
        channel, self._channel = self._channel, None
        if channel is not None and not await shut(channel.close(), leave=True):
            # Until the channel is closed nobody else sees anything; with its connection it is.
            self._link.drop(self._connection)

    async def _chance(self, channel: AbstractChannel) -> tuple[int, int]:
        """What is ready and who consumes, once nobody does or we have waited for long enough."""
        loop = asyncio.get_running_loop()
        until = min(self._until, loop.time() + LINE_AFTER * random.uniform(0.7, 1.3))
        ready, consumers = await self._count(channel)
        while consumers and loop.time() < until:
            await asyncio.sleep(PAUSE)
            ready, consumers = await self._count(channel)
        return ready, consumers

    async def _take(self, channel: AbstractChannel, see: See) -> None:
        async def arrived(message: AbstractIncomingMessage) -> None:
            if self._enough or channel is not self._channel:
                return
            self._last_arrival = asyncio.get_running_loop().time()
            self.seen += 1
            self._enough = see(message)
            self._arrived.set()

        async def taken() -> None:
            await channel.set_qos(prefetch_count=MAX_TAKEN)
            queue = await channel.get_queue(self._queue, ensure=False)
            await queue.consume(arrived)

        await answer(taken(), timeout=self._timeout(), what=self._what, leave=True)

    async def _turn(self, seconds: float) -> bool:
        """Wait until something comes: then nobody else is before us."""
        await self._more(min(self._left(), seconds))
        return self.seen > 0

    async def _all(self, channel: AbstractChannel, told: int | None) -> bool:
        """Wait until `see` had enough, or nothing more is ready or on its way."""
        while not self._enough:
            if self.seen >= MAX_TAKEN or self._left() <= 0:
                return False
            ready, _ = await self._count(channel)
            if not ready and (self._quiet() or (told is not None and self.seen >= told)):
                return True
            await self._more(PAUSE)
        return True

    def _quiet(self) -> bool:
        return asyncio.get_running_loop().time() - self._last_arrival > QUIET

    async def _more(self, seconds: float) -> None:
        """Wait for another message, `seconds` at most."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            pass
        self._arrived.clear()

    async def _count(self, channel: AbstractChannel) -> tuple[int, int]:
        asking = count(channel, self._queue)
        return await answer(asking, timeout=self._timeout(), what=self._what, leave=True)

    def _timeout(self) -> float:
        return max(self._left(), RPC_TIMEOUT)

    def _left(self) -> float:
        return max(0.0, self._until - asyncio.get_running_loop().time())
