"""Calls to Redis: a few at once, first come first served, each bounded in time."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from shared.adapters.redis_store.errors import RAISED, store_error
from shared.domain.errors import StoreError, StoreUnreachable

Answer = TypeVar("Answer")

REVIEW_LIMIT = 0.1
"""Seconds that one call may take where a review waits for it."""
WORK_LIMIT = 1.0
"""Seconds that one call may take where no review does: a server or a machine that is busy for a
moment must not fail hundreds of steps at once, which then all come again."""
PATIENCE = 2.0
"""Seconds that a call waits for its turn on a server that answers; callers give up before."""
CLOSE_GRACE = 1.0
CANCEL_PAUSE = 0.05
LATE = 0.005
EXTENSIONS = 10


class Turns:
    """Runs at most `size` calls at once.

    redis-py's blocking pool wakes its waiters unfairly and some starve
    (docs/design/broker-facts.md 4), so they queue here. A call that takes too long is left to end
    by its socket timeout: a task that is cancelled while it gives its connection back would
    lose that connection for ever. When a server hangs, those who wait for a turn are told at
    once.
    """

    def __init__(
        self,
        *,
        size: int,
        address: object,
        limit: float = REVIEW_LIMIT,
        patience: float = PATIENCE,
    ) -> None:
        """`limit` and `patience` in seconds: for one call, and for its turn."""
        self._free = size
        self._limit = limit
        self._patience = patience
        self._silent = f"no answer within {limit:g} s: is it hung, or overloaded?"
        self._closed = False
        self._address = address
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._running: set[asyncio.Task[Any]] = set()

    async def call(self, work: Callable[[], Coroutine[Any, Any, Answer]], *, doing: str) -> Answer:
        """Await `work()`; raises StoreError for what it raises (`store_error`)."""
        await self._take_turn(doing)
        try:
            return await self._bounded(work, doing)
        finally:
            self._give_turn()

    async def aclose(self) -> None:
        """Let what is running end, for a second at most, and begin nothing more."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_GRACE)
        while self._running:
            # Again and again: redis-py's wait_for may swallow a cancellation (Python 3.11).
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=CANCEL_PAUSE)

    async def _take_turn(self, doing: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            if not await _ends_within(self._patience, turn):
                raise StoreError(
                    f"cannot {doing}, Redis at {self._address}: all our connections have been in "
                    f"use for {self._patience} s: this process is overloaded"
                )
        except BaseException:
            # Whoever stops waiting must not keep a turn that came at the same moment.
            if not turn.cancel() and turn.exception() is None:
                self._give_turn()
            raise
        turn.result()  # raises what those who wait on a hung server are told

    def _give_turn(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _bounded(self, work: Callable[[], Coroutine[Any, Any, Answer]], doing: str) -> Answer:
        if self._closed:
            raise self._unreachable(doing, "the link is closed")
        task = asyncio.create_task(work(), name=f"redis: {doing}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        if not await _ends_within(self._limit, task):
            self._tell_waiting(doing)
            raise self._unreachable(doing, self._silent)
        if task.cancelled():
            raise self._unreachable(doing, "the link was closed meanwhile")
        try:
            return task.result()
        except RAISED as error:
            raise store_error(error, doing=doing, address=self._address) from error

    def _tell_waiting(self, doing: str) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(self._unreachable(doing, self._silent))

    def _unreachable(self, doing: str, why: str) -> StoreUnreachable:
        return StoreUnreachable(f"cannot {doing}, Redis at {self._address}: {why}")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits any more


async def _ends_within(seconds: float, future: asyncio.Future[Any]) -> bool:
    """Whether `future` ended in time.

    A loop that was busy with other things wakes late and may not have read an answer that is
    there: that is not the server's fault, and the time begins again.
    """
    loop = asyncio.get_running_loop()
    for _ in range(EXTENSIONS):
        deadline = loop.time() + seconds
        await asyncio.wait({future}, timeout=seconds)
        if future.done() or loop.time() < deadline + LATE:
            break
    return future.done()
