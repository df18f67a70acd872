"""The connections of one process to Redis: one for reads, a few for writes, one to listen."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError

from shared.adapters.redis_store.address import parse_address
from shared.adapters.redis_store.errors import RAISED
from shared.adapters.redis_store.merging import MergedReads
from shared.adapters.redis_store.turns import REVIEW_LIMIT, Turns

PREFIX = "ig1:"
WRITERS = 4
BACKSTOP = 1.0
"""Seconds after which a socket that says nothing is closed, at least; callers went before
(`Turns`), in half of that."""


class RedisLinks:
    """What the store, the claims and the leases of one process share.

    Making it opens nothing, and every call opens what it needs: a process starts without Redis
    and finds it when it is there. `url` is redis:// or rediss:// (then `ca_file`, a PEM file,
    may name whom to trust; else the system decides). Every key begins with `prefix`; in a Redis
    Cluster give it a hash tag, `{ig1}:`, because scripts need their keys in one slot.

    Raises InvalidSettings for a URL or a file that cannot be used.
    """

    def __init__(
        self,
        *,
        url: str,
        prefix: str = PREFIX,
        ca_file: Path | None = None,
        limit: float = REVIEW_LIMIT,
    ) -> None:
        """`limit`: seconds that one call may take; WORK_LIMIT where no review waits for it."""
        self.address = parse_address(url, ca_file=ca_file)
        self.prefix = prefix
        self._limit = limit
        self._backstop = max(BACKSTOP, 2 * limit)
        self._reader = self._client(connections=1)
        self._writer = self._client(connections=WRITERS)
        self._reader_turns = Turns(size=1, address=self.address, limit=limit)
        self._writer_turns = Turns(size=WRITERS, address=self.address, limit=limit)
        self._reads = MergedReads(fetch=self._mget)
        self._scripts: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; calls under way end with StoreUnreachable."""
        await self._reads.aclose()
        await asyncio.gather(self._reader_turns.aclose(), self._writer_turns.aclose())
        for client in (self._reader, self._writer):
            with contextlib.suppress(*RAISED):  # a hung server does not say goodbye
                await client.aclose()

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The strings of `keys`, merged with what others read now."""
        return await self._reads.read([key.encode() for key in keys])

    async def run(
        self, script: str, *, keys: Sequence[str], args: Sequence[str | bytes | int], doing: str
    ) -> Any:
        """Run a Lua script; it is loaded again by itself where a server forgot it."""
        if script not in self._scripts:
            self._scripts[script] = self._writer.register_script(script)
        registered = self._scripts[script]
        return await self._writer_turns.call(lambda: registered(keys=keys, args=args), doing=doing)

    async def ping(self) -> None:
        """Ask whether it answers."""

        async def work() -> None:
            await self._writer.ping()

        await self._writer_turns.call(work, doing="ping")

    async def scan(self, cursor: int, *, match: str, count: int) -> tuple[int, list[str]]:
        """One SCAN from `cursor`: the next cursor (0: the end) and some keys."""

        async def work() -> tuple[int, list[str]]:
            following, found = await self._writer.scan(cursor, match=match, count=count)
            return following, [_text(key) for key in found]

        return await self._writer_turns.call(work, doing="list keys")

    def listening(self) -> Redis:
        """A client of its own for one subscription; the caller bounds its calls and closes it.

        Without a socket timeout, because with one redis-py sends inside `asyncio.wait_for`, which
        swallows a cancellation that comes at the wrong moment (Python 3.11).
        """
        return Redis.from_pool(self._pool(connections=1, retries=0, backstop=None))

    async def _mget(self, keys: list[bytes]) -> list[bytes | None]:
        async def work() -> list[bytes | None]:
            found = await self._reader.mget(keys)
            return [value if isinstance(value, bytes) else None for value in found]

        return await self._reader_turns.call(work, doing="read records")

    def _client(self, *, connections: int) -> Redis:
        return Redis.from_pool(
            self._pool(connections=connections, retries=1, backstop=self._backstop)
        )

    def _pool(
        self, *, connections: int, retries: int, backstop: float | None
    ) -> BlockingConnectionPool:
        """One silent retry heals a connection that the server had closed; a hang is never
        tried twice (docs/design/broker-facts.md 5)."""
        return BlockingConnectionPool(
            max_connections=connections,
            timeout=self._limit,
            socket_timeout=backstop,
            socket_connect_timeout=self._backstop,
            retry=Retry(NoBackoff(), retries, supported_errors=(ConnectionError,)),
            protocol=2,
            **self.address.connection_options(),
        )


def _text(key: bytes | str | memoryview) -> str:
    return key if isinstance(key, str) else bytes(key).decode(errors="replace")
