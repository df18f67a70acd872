"""Signed exceptions in Redis: beside the records, announced on their channel."""

from collections.abc import Mapping

from shared.adapters.exception_bounds import check_size, no_room
from shared.adapters.record_order import order_of
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.exceptions import EXCEPTION_IDS, EXCEPTIONS, PUT_EXCEPTION
from shared.domain.exceptions import exception_key
from shared.ports.exceptions import MAX_EXCEPTIONS, MAX_ID, MAX_SEALED
from shared.ports.verdicts import MAX_AHEAD, Put

PAGE = 100
FULL = "full"


class RedisExceptionStore:
    """A `shared.ports.exceptions.ExceptionStore`.

    What it keeps has no time to live of its own: under a `volatile-*` policy a full server would
    evict what has one, and with it every revocation.
    """

    def __init__(self, *, links: RedisLinks, max_exceptions: int = MAX_EXCEPTIONS) -> None:
        self._links = links
        self._max_exceptions = max_exceptions
        self._sealed = f"{links.prefix}exceptions"
        self._ends = f"{links.prefix}exceptions:ends"

    async def all(self) -> Mapping[str, bytes]:
        ids: list[bytes] = await self._links.run(
            EXCEPTION_IDS,
            keys=[self._ends],
            args=[self._max_exceptions, MAX_ID],
            doing="list exceptions",
        )
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), PAGE):
            found.update(await self._page(ids[start : start + PAGE]))
        return found

    async def _page(self, ids: list[bytes]) -> Mapping[str, bytes]:
        """A part at a time: the whole would take the server's time and be late itself."""
        pairs: list[bytes] = await self._links.run(
            EXCEPTIONS, keys=[self._sealed], args=[MAX_SEALED, *ids], doing="read exceptions"
        )
        return {
            name.decode(errors="replace"): sealed
            for name, sealed in zip(pairs[::2], pairs[1::2], strict=True)
        }

    async def put(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        key = exception_key(exception_id)
        order_of(sealed, key=key)
        check_size(sealed, exception_id=exception_id)
        answer: bytes = await self._links.run(
            PUT_EXCEPTION,
            keys=[self._sealed, self._ends],
            args=[
                sealed,
                ends,
                exception_id,
                MAX_AHEAD,
                self._max_exceptions,
                f"{self._links.prefix}changed",
                key,
            ],
            doing=f"put {key}",
        )
        if answer.decode() == FULL:
            raise no_room(self._max_exceptions)
        return Put(answer.decode())
