"""Calls to Redis: a few at once, first come first served, each bounded in time."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from shared.adapters.redis_store.errors import RAISED, store_error
from shared.domain.errors import StoreError, StoreUnreachable

Answer = TypeVar("Answer")

CALL_LIMIT = 0.1
"""Seconds that one call may take."""
PATIENCE = 0.5
"""Seconds that a call waits for its turn on a server that answers."""
LATE = 0.005
EXTENSIONS = 3


class Turns:
    """Runs at most `size` calls at once.

    redis-py's blocking pool wakes its waiters unfairly and some starve
    (docs/design/broker-facts.md 4), so they queue here. A call that takes too long is left to end
    by its socket timeout: a task that is cancelled while it gives its connection back would
    lose that connection for ever. When a server hangs, those who wait for a turn are told at
    once.
    """

    def __init__(self, *, size: int, address: object) -> None:
        self._free = size
        self._address = address
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._running: set[asyncio.Task[Any]] = set()

    async def call(self, work: Callable[[], Coroutine[Any, Any, Answer]], *, doing: str) -> Answer:
        """Await `work()`; raises StoreError for what it raises (`shared...errors`)."""
        await self._take_turn(doing)
        try:
            return await self._bounded(work(), doing)
        finally:
            self._give_turn()

    async def aclose(self) -> None:
        """End what is still running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _take_turn(self, doing: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(PATIENCE):
                await turn
        except TimeoutError as error:
            self._pass_on(turn)
            raise StoreError(
                f"cannot {doing}, Redis at {self._address}: all our connections have been in use "
                f"for {PATIENCE} s: this process is overloaded"
            ) from error
        except BaseException:
            self._pass_on(turn)
            raise

    def _pass_on(self, turn: asyncio.Future[None]) -> None:
        """Whoever stops waiting must not keep a turn that came at the same moment."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._give_turn()

    def _give_turn(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _bounded(self, work: Coroutine[Any, Any, Answer], doing: str) -> Answer:
        task = asyncio.create_task(work, name=f"redis: {doing}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        if not await self._in_time(task):
            self._tell_waiting(doing)
            raise self._hung(doing)
        if task.cancelled():
            raise StoreUnreachable(f"cannot {doing}, Redis at {self._address}: closed meanwhile")
        try:
            return task.result()
        except RAISED as error:
            raise store_error(error, doing=doing, address=self._address) from error

    async def _in_time(self, task: asyncio.Task[Any]) -> bool:
        """Whether `task` ended within the limit.

        A loop that was busy with other things woke late and may not have read an answer that
        is there: that is not the server's fault, and the call gets another limit.
        """
        loop = asyncio.get_running_loop()
        for _ in range(EXTENSIONS):
            deadline = loop.time() + CALL_LIMIT
            await asyncio.wait({task}, timeout=CALL_LIMIT)
            if task.done() or loop.time() < deadline + LATE:
                break
        return task.done()

    def _tell_waiting(self, doing: str) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(self._hung(doing))

    def _hung(self, doing: str) -> StoreUnreachable:
        return StoreUnreachable(
            f"cannot {doing}, Redis at {self._address}: no answer within {CALL_LIMIT} s: "
            "is it hung, or overloaded?"
        )

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits any more
