"""Signed exceptions in process, with the guarantees of Redis."""

from collections.abc import Callable, Mapping

from shared.adapters.exception_bounds import check_size, no_room
from shared.adapters.memory.ending import Ending
from shared.adapters.record_order import order_of
from shared.domain.exceptions import exception_key
from shared.ports.clock import Clock
from shared.ports.exceptions import MAX_EXCEPTIONS
from shared.ports.verdicts import MAX_AHEAD, Put


class MemoryExceptionStore:
    """A `shared.ports.exceptions.ExceptionStore` for one process.

    `announce` is that of the verdict store, whose listeners are told.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        announce: Callable[[str], None],
        max_exceptions: int = MAX_EXCEPTIONS,
    ) -> None:
        self._clock = clock
        self._announce = announce
        self._max_exceptions = max_exceptions
        self._sealed: Ending[bytes] = Ending(clock=clock, max_entries=max_exceptions)

    async def all(self) -> Mapping[str, bytes]:
        return dict(self._sealed.items())

    async def put(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        order = order_of(sealed, key=exception_key(exception_id))
        check_size(sealed, exception_id=exception_id)
        if order > self._clock.now() + MAX_AHEAD:
            return Put.AHEAD
        if ends <= self._clock.now():
            return Put.ENDED
        held = self._sealed.get(exception_id)
        if held is None and len(self._sealed) >= self._max_exceptions:
            raise no_room(self._max_exceptions)
        if held == sealed:
            return Put.WRITTEN
        if held is not None and order <= order_of(held, key=exception_key(exception_id)):
            return Put.OLDER
        self._sealed.set(exception_id, sealed, ends=ends)
        self._announce(exception_key(exception_id))
        return Put.WRITTEN
