"""Processes whose every call of a port stands still until it is let go on, or is killed there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

Port = TypeVar("Port")


class Killed(BaseException):
    """kill -9: nothing in the process runs on."""


class Process:
    """What stands at a call of a port, and whether the process lives."""

    def __init__(self) -> None:
        self.alive = True
        self.at: list[asyncio.Future[None]] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        error = task.exception()
        assert error is None or isinstance(error, Killed), repr(error)

    async def stand(self) -> None:
        if not self.alive:
            raise Killed
        here = asyncio.get_running_loop().create_future()
        self.at.append(here)
        await here

    def kill(self) -> None:
        self.alive = False
        for future in self.at:
            future.set_exception(Killed())
        self.at.clear()

    def calls(self, port: Callable[[], Port]) -> Port:
        """`port()`, each of whose calls stands still before and after its effect."""
        return cast(Port, _Standing(port, self))


class _Standing:
    def __init__(self, port: Callable[[], object], process: Process) -> None:
        self._port = port
        self._process = process

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            await self._process.stand()
            result = await getattr(self._port(), name)(*arguments, **named)
            await self._process.stand()
            return result

        return call
