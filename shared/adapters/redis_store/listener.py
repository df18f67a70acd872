"""The subscription to announcements, which notices a restart and a hang of the server.

redis-py alone hears nothing of a hang and re-subscribes without a word
(docs/design/broker-facts.md 6): so we ask for a sign of life and count silence.
"""

import asyncio
import contextlib
import logging

from redis.asyncio.client import PubSub

from shared.adapters.redis_store.errors import RAISED, store_error
from shared.adapters.redis_store.links import RedisLinks
from shared.domain.errors import StoreMisconfigured
from shared.ports.verdicts import Listener

ASK_EVERY = 0.5
"""Seconds between two signs of life that we ask for."""
SILENCE = 2.0
"""Seconds without a word after which the server is taken to hang."""
SEND_LIMIT = 1.0
FIRST_BACKOFF = 0.05
LAST_BACKOFF = 1.0

log = logging.getLogger(__name__)


class Subscription:
    """Delivers one channel to one listener until cancelled."""

    def __init__(self, *, links: RedisLinks, channel: str, listener: Listener) -> None:
        self._links = links
        self._channel = channel
        self._listener = listener
        self._backoff = FIRST_BACKOFF
        self._interrupted = False

    async def run(self) -> None:
        """Subscribe, deliver, and begin anew after whatever interrupts it."""
        while True:
            try:
                await self._listen_once()
            except RAISED as error:
                self._say(error)
            await asyncio.sleep(self._backoff)
            self._backoff = min(2 * self._backoff, LAST_BACKOFF)

    async def _listen_once(self) -> None:
        client = self._links.listening()
        pubsub = client.pubsub()
        try:
            async with asyncio.timeout(SEND_LIMIT):
                await pubsub.subscribe(self._channel)
            await self._deliver(pubsub)
        finally:
            with contextlib.suppress(*RAISED):
                async with asyncio.timeout(SEND_LIMIT):
                    await client.aclose()

    async def _deliver(self, pubsub: PubSub) -> None:
        loop = asyncio.get_running_loop()
        heard = asked = loop.time()
        while True:
            async with asyncio.timeout(SILENCE):  # it may reconnect on its own
                message = await pubsub.get_message(timeout=ASK_EVERY)
            now = loop.time()
            if message is not None:
                heard = now
                self._hear(message["type"], message["data"])
            elif now - heard > SILENCE:
                raise TimeoutError(f"no sign of life for {SILENCE} s")
            if now - asked >= ASK_EVERY:
                asked = now
                async with asyncio.timeout(SEND_LIMIT):
                    await pubsub.ping()

    def _hear(self, kind: str, data: object) -> None:
        if kind == "subscribe":
            # The first, and again whenever redis-py reconnected on its own: a gap either way.
            if self._interrupted:
                log.info("announcements are back", extra={"redis": str(self._links.address)})
            self._interrupted = False
            self._backoff = FIRST_BACKOFF
            self._listener.gap()
        elif kind == "message" and isinstance(data, bytes):
            self._listener.changed(data.decode(errors="replace"))

    def _say(self, error: Exception) -> None:
        """Once an interruption: it is tried again every second."""
        if not self._interrupted:
            ours = store_error(error, doing="listen to changes", address=self._links.address)
            level = logging.ERROR if isinstance(ours, StoreMisconfigured) else logging.WARNING
            log.log(level, "announcements are interrupted", extra={"why": str(ours)})
        self._interrupted = True
