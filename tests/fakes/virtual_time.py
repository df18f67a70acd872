"""Hours in seconds: an event loop whose time passes only while nothing else is to be done.

Sleeps and limits are exact, also on a machine that stands still for a moment. The tests of a module
run on it by `pytestmark = pytest.mark.virtual_time`; they have no sockets, threads and processes.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from tests.fakes.clock import START

Result = TypeVar("Result")
Values = TypeVarTuple("Values")

OWN_FILES = 1
"""What a loop listens to by itself: its own end of the pipe that wakes it."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Whoever sleeps wakes at once, and in the right order. Knows no network and no threads."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        """Seconds since the loop began."""
        return self._now

    def skip(self, seconds: float) -> None:
        """Let that time pass."""
        self._now += seconds

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Values], object], *args: *Values
    ) -> NoReturn:
        """What a thread does takes a time of its own, which would be skipped."""
        raise RuntimeError("there are no threads in virtual time")


class _Skipping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nobody for the time: this would take for ever")
        if len(self.get_map()) > OWN_FILES:
            raise RuntimeError("there is no network in virtual time")
        self._loop.skip(timeout)
        return super().select(0)


class VirtualClock:
    """A `shared.ports.clock.Clock` by the running loop's time."""

    def now(self) -> int:
        return START + round(1000 * self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def in_virtual_time(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
