"""redis-py's connections, which say of a socket that the server closed what it is: a lost one.

Whoever writes to a socket whose end was heard a moment ago gets what the event loop says of it, a
RuntimeError of uvloop, a TypeError or AttributeError of some Pythons' own, and redis-py (8.1)
passes that on (redis/redis-py#4287): nobody takes it for a fault of the server, and a task that
follows the store ends by it.
"""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import Connection, SSLConnection
from redis.exceptions import ConnectionError

_OF_A_CLOSED_SOCKET = (RuntimeError, TypeError, AttributeError)

Command = bytes | str | Iterable[bytes]


class PlainConnection(Connection):
    """Over TCP."""

    async def send_packed_command(self, command: Command, check_health: bool = True) -> None:
        with _lost():
            await super().send_packed_command(command, check_health)


class TlsConnection(SSLConnection):
    """Over TLS, with whom `trust` believes and nobody else.

    redis-py makes a context for each connection, and a CA file only adds to those whom the system
    believes.
    """

    def __init__(self, *, trust: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = trust

    async def send_packed_command(self, command: Command, check_health: bool = True) -> None:
        with _lost():
            await super().send_packed_command(command, check_health)


@contextmanager
def _lost() -> Iterator[None]:
    """redis-py has let go of the connection by then: the next call opens another."""
    try:
        yield
    except _OF_A_CLOSED_SOCKET as error:
        raise ConnectionError(f"the server closed the connection ({error})") from error
