"""The handlers that one `consume` has running: how many, and until when."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

CANCEL_GRACE = 1.0
"""Seconds that cancelled handlers have to clean up behind them."""


class Crew:
    """The tasks of one `consume`; `slots` lets at most `size` handlers run at once."""

    def __init__(self, *, size: int, name: str) -> None:
        if size < 1:
            raise ValueError(f"the concurrency of {name} must be at least 1, it is {size}")
        self.name = name
        self.size = size
        self.slots = asyncio.Semaphore(size)
        self.stopping = asyncio.Event()
        """Set: take no more."""
        self.gone = asyncio.Event()
        """Set when `consume` returns."""
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` beside the others."""
        task = asyncio.create_task(work, name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def idle(self) -> bool:
        """Whether nothing is running."""
        return not self._tasks

    async def pause(self, seconds: float | None, *, unless: asyncio.Event | None = None) -> None:
        """Wait `seconds` (None: for ever), but only until `unless` is set or the crew stops."""
        events = (self.stopping, unless) if unless is not None else (self.stopping,)
        waits = {asyncio.create_task(event.wait(), name=self.name) for event in events}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def cancel(self) -> None:
        """Cancel what is running."""
        for task in self._tasks:
            task.cancel()

    async def finished(self) -> None:
        """Wait until nothing is running."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def drain(crews: Iterable[Crew], *, timeout: float) -> None:
    """Stop every crew: `timeout` seconds to end by themselves, then cancelled."""
    crews = tuple(crews)
    for crew in crews:
        crew.stopping.set()
    if await _all_gone(crews, timeout):
        return
    for crew in crews:
        crew.cancel()
    await _all_gone(crews, CANCEL_GRACE)


async def _all_gone(crews: tuple[Crew, ...], timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            for crew in crews:
                await crew.gone.wait()
    except TimeoutError:
        return False
    return True
