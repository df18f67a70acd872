"""Questions for single namespaces: one each at a time, and not too many together.

Who may call the webhook may make namespaces up. Each name costs one question a few seconds, and
all of them together READS_A_SECOND.
"""

import asyncio
from collections.abc import Awaitable, Callable

from shared.adapters.kubernetes.limits import MAX_WAITING, READS_A_SECOND, READS_SAVED
from shared.ports.clock import Clock
from shared.ports.namespaces import ReadOutcome


class Reads:
    """Who wants a namespace, and the questions under way.

    `ask` asks for one, keeps what it learns and says what became of it; it raises nothing.
    `patience`: seconds that a review waits for it.
    """

    def __init__(
        self,
        *,
        ask: Callable[[str], Awaitable[ReadOutcome]],
        clock: Clock,
        patience: float,
        on_read: Callable[[ReadOutcome], None] = lambda outcome: None,
    ) -> None:
        self._ask = ask
        self._patience = patience
        self._clock = clock
        self._on_read = on_read
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._saved = float(READS_SAVED)
        self._at = clock.monotonic()

    async def wait(self, name: str) -> None:
        """Until something is known of `name`, or no review's patience lasts longer."""
        waiting = self._waiting.get(name) or self._begin(name)
        if waiting is not None:
            await asyncio.wait([waiting], timeout=self._patience)

    def known(self, name: str) -> None:
        """Something is known of `name`: nobody need wait for it."""
        waiting = self._waiting.pop(name, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def aclose(self) -> None:
        """End the questions, and every wait."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        for name in list(self._waiting):
            self.known(name)

    def _begin(self, name: str) -> asyncio.Future[None] | None:
        if len(self._waiting) >= MAX_WAITING:
            self._on_read(ReadOutcome.OVER_BUDGET)
            return None
        loop = asyncio.get_running_loop()
        waiting = self._waiting[name] = loop.create_future()
        if self._may_ask():
            task = loop.create_task(self._until_known(name), name="read a namespace")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        else:
            # A flood of made-up names keeps no real one out: the watch may still bring it.
            self._on_read(ReadOutcome.OVER_BUDGET)
            loop.call_later(self._patience, self._given_up, name, waiting)
        return waiting

    async def _until_known(self, name: str) -> None:
        try:
            self._on_read(await self._ask(name))
        finally:
            self.known(name)

    def _given_up(self, name: str, waiting: asyncio.Future[None]) -> None:
        if self._waiting.get(name) is waiting:
            self.known(name)

    def _may_ask(self) -> bool:
        now = self._clock.monotonic()
        self._saved = min(self._saved + (now - self._at) * READS_A_SECOND, READS_SAVED)
        self._at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
