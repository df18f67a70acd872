"""The life of a process: signals, watched tasks, and a drain with a deadline.

    async def serve(life: Lifecycle) -> int:
        async with wired(settings) as worker:
            life.watch(worker.consume(), name="consume admission")
            return await life.until_stopped(drain=worker.drain)

    sys.exit(run(serve, drain_deadline=25.0))

The first SIGTERM or SIGINT sets `stopping`; a second one ends the drain at once.
"""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)

TURN = 0.0005
"""Seconds that a thread which computes keeps the event loop waiting, each time that this comes back
from the network. With Python's own 5 ms a review waited ten such turns while a file of a thousand
rules was read, and behind it others: up to 1.2 s, now 0.1 s."""

CANCEL_GRACE = 5.0
CANCELS = 2

Drain = Callable[[float], Awaitable[object]]
"""Given the seconds it may take: finish what is in flight, take nothing more."""


class Lifecycle:
    """What one process has running, and whether it is to stop."""

    def __init__(self, *, drain_deadline: float = 25.0, cancel_grace: float = CANCEL_GRACE) -> None:
        """`cancel_grace` (seconds): what a cancelled task has to clean up, each time."""
        self.stopping = asyncio.Event()
        """Set once: not ready any more, take no more work."""
        self.failure = ""
        """Why the process stops by itself; empty after a signal or `stop`."""
        self._drain_deadline = drain_deadline
        self._cancel_grace = cancel_grace
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def listen_to_signals(self) -> None:
        """Turn SIGTERM and SIGINT into `stopping`."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)

    def stop(self, reason: str) -> None:
        """Begin to stop; a second call ends the drain."""
        if self.stopping.is_set():
            self._hurry.set()
            return
        log.info("stopping", extra={"reason": reason})
        self.stopping.set()

    def watch(self, work: Coroutine[Any, Any, object], *, name: str) -> asyncio.Task[Any]:
        """Run `work` as a named task; should it end before `stopping`, the process stops."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def until_stopped(self, *, drain: Drain | None = None) -> int:
        """Wait for `stopping`, drain, cancel the rest; the process's exit code (1: failed)."""
        try:
            await self.stopping.wait()
            if drain is not None:
                await self._drain(drain)
        finally:
            await self.cancel_tasks()
        return 1 if self.failure else 0

    async def cancel_tasks(self) -> None:
        """Cancel what is still running and wait until it has ended, but not for ever.

        Libraries swallow a cancellation that comes at the wrong moment (Python 3.11's wait_for),
        so it comes twice.
        """
        self.stopping.set()
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        for _ in range(CANCELS):
            for task in tasks:
                task.cancel()
            if tasks:
                _, tasks = await asyncio.wait(tasks, timeout=self._cancel_grace)
        for task in tasks:
            log.error("task does not end, the process stops without it: %s", task.get_name())

    async def _drain(self, drain: Drain) -> None:
        deadline = self._drain_deadline
        work = asyncio.ensure_future(drain(deadline))
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            # One second more than it was given: it ends by itself unless it hangs.
            await asyncio.wait(
                {work, hurry}, timeout=deadline + 1.0, return_when=asyncio.FIRST_COMPLETED
            )
            if not work.done():
                log.warning("drain cut short: what is in flight is cancelled")
        finally:
            for future in (work, hurry):
                future.cancel()
            (result, _) = await asyncio.gather(work, hurry, return_exceptions=True)
        if isinstance(result, Exception):
            log.error("drain failed", exc_info=result)

    def _signalled(self, number: signal.Signals) -> None:
        self.stop(f"signal {number.name}")

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if self.stopping.is_set():
            if error is not None:
                log.warning("task failed while stopping: %s", task.get_name(), exc_info=error)
            return
        how = "failed" if error else "was cancelled" if task.cancelled() else "ended"
        self.failure = f"task {task.get_name()!r} {how} unexpectedly"
        log.error("%s: the process stops", self.failure, exc_info=error)
        self.stopping.set()


def run(serve: Callable[[Lifecycle], Awaitable[int]], *, drain_deadline: float = 25.0) -> int:
    """Run `serve` on uvloop with signals attached; its exit code."""
    sys.setswitchinterval(TURN)

    async def main() -> int:
        asyncio.get_running_loop().set_exception_handler(_unheard)
        life = Lifecycle(drain_deadline=drain_deadline)
        life.listen_to_signals()
        try:
            return await serve(life)
        finally:
            # After an error at the start nobody else tells the tasks that this is the end.
            await life.cancel_tasks()

    before, sys.unraisablehook = sys.unraisablehook, _unraised
    try:
        return uvloop.run(main())
    finally:
        sys.unraisablehook = before


def _unraised(unraisable: "sys.UnraisableHookArgs") -> None:
    """An error where none can be raised, as an event: Python's own hook writes several bare lines.

    One of them strangers bring about, as often as they like: in a handshake they call us by a name
    that is not ASCII. It fails, which is told of where those are (`shared.runtime.handshakes`).
    """
    error = unraisable.exc_value
    level = logging.DEBUG if isinstance(error, UnicodeDecodeError) else logging.ERROR
    log.log(level, "an error could not be raised", exc_info=error)


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that reached nobody.

    Who gives up connecting leaves uvloop's look-up of the name behind: where a host is down, each
    attempt would be told as an error of ours.
    """
    error, future = context.get("exception"), context.get("future")
    a_look_up = future is not None and not isinstance(future, asyncio.Task)
    if a_look_up and isinstance(error, socket.gaierror):
        log.debug("a look-up that nobody waited for any more failed: %s", error)
        return
    loop.default_exception_handler(context)
