"""Making one connection, and being able to end it.

Not a robust connection: whoever holds it makes a new one when it is lost.
"""

import asyncio
from typing import Any

from aio_pika import Connection
from aio_pika.connection import make_url
from aiormq import TransportFactory
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from yarl import URL

from shared.adapters.rabbitmq.calls import CLOSE_TIMEOUT, answer, background
from shared.adapters.rabbitmq.frames import readable


class Wire(TransportFactory):
    """Opens the socket and keeps hold of it.

    The library's close waits until everything it has buffered is sent, which a hung or blocked
    broker never takes, and does not obey cancellation then (docs/design/broker-facts.md 2).
    """

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Called by the library to connect."""
        secure = url.scheme == "amqps"
        factory = TLSTransportFactory() if secure else TCPTransportFactory()
        reader, self._writer = await factory.create(url, **kwargs)
        return readable(reader), self._writer

    def cut(self) -> None:
        """Close the socket at once and forget what was not sent."""
        if self._writer is not None:
            self._writer.transport.abort()


class Wired:
    """A connection and its socket."""

    def __init__(self, url: str, *, name: str, heartbeat: int) -> None:
        self._wire = Wire()
        self.connection = Connection(
            make_url(url, heartbeat=heartbeat), client_properties={"connection_name": name}
        )
        self.connection.kwargs["transport_factory"] = self._wire

    async def open(self, *, timeout: float) -> None:
        """Connect; raises QueueUnavailable."""
        await answer(self.connection.connect(timeout=timeout), timeout=timeout, what="connect")

    async def close(self) -> None:
        """Say goodbye if the broker listens, and end the connection in any case."""
        closing = background(self.connection.close(), name="close the connection")
        try:
            await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT)
        finally:
            self._wire.cut()
            # Without its socket the library ends by itself; cancelled before that it hangs.
            await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT)
