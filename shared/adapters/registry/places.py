"""Places at each registry: as many questions at a time as there are connections for it.

Who waits for one of our own connections must not take that for the registry's silence: what is
slow, and asked for much at once, would be taken for down.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from shared.adapters.registry.limits import MAX_CONNECTIONS_PER_HOST
from shared.domain.errors import TransientFailure


class Places:
    """One count for each host that somebody asks or waits for."""

    def __init__(self, *, at_a_time: int = MAX_CONNECTIONS_PER_HOST) -> None:
        self._at_a_time = at_a_time
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def at(self, host: str, *, within: float) -> AsyncIterator[None]:
        """A place there; raises TransientFailure where none is free in `within` seconds."""
        places = self._hosts.setdefault(host, asyncio.Semaphore(self._at_a_time))
        try:
            async with asyncio.timeout(within):
                await places.acquire()
        except TimeoutError as error:
            raise TransientFailure(
                f"none of our {self._at_a_time} connections to {host} was free within {within:g} "
                "s: it is slow, or asked for too much at once"
            ) from error
        try:
            yield
        finally:
            places.release()
