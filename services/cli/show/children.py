"""Processes of the show's own: started, waited for until they answer, stopped by their pid."""

import asyncio
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from shared.domain.errors import ImagegateError

PORTS = range(20_000, 32_000)
"""Below the ports that the kernel hands to outgoing connections (docs/design/broker-facts.md 3)."""

POLL = 0.1
STOP = 15.0
"""Seconds between SIGTERM and SIGKILL."""

LAST_WORDS = 600

Ready = Callable[[], Awaitable[bool]]


class ChildFailed(ImagegateError):
    """A process that ended, or never answered; the message has its last words."""


class Program(msgspec.Struct, frozen=True):
    """What to start; its output goes to `folder/name.log`."""

    name: str
    command: tuple[str, ...]
    environ: dict[str, str]
    folder: Path
    ready: Ready
    patience: float = 60.0
    """Seconds until it must answer."""

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.name.replace(' ', '-')}.log"


class Child:
    """A running process."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self.pid = process.pid
        self._process = process

    async def ended(self) -> None:
        """Wait for its end, which is always a failure; raises ChildFailed."""
        code = await self._process.wait()
        killed = f"was killed by signal {-code}"
        how = killed if code < 0 else f"ended with exit code {code}"
        raise ChildFailed(f"{self.program.name} {how}; its last words: {self._last_words()}")

    async def answer(self) -> None:
        """Wait until it is ready; raises ChildFailed."""
        ending = asyncio.create_task(self.ended(), name=f"end of {self.program.name}")
        try:
            async with asyncio.timeout(self.program.patience):
                while not await self.program.ready():
                    await asyncio.wait({ending}, timeout=POLL)
                    if ending.done():
                        await ending
        except TimeoutError as error:
            raise ChildFailed(
                f"{self.program.name} did not answer in {self.program.patience:g} s: "
                f"{self._last_words()}"
            ) from error
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for whoever takes too long."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is not None:
                return
            self._process.send_signal(number)
            try:
                await asyncio.wait_for(self._process.wait(), STOP)
            except TimeoutError:
                continue

    def _last_words(self) -> str:
        """The last line of its log, which is gone with the folder."""
        lines = self.program.log.read_text("utf-8", "replace").splitlines()
        return lines[-1][-LAST_WORDS:] if lines else "none"


@asynccontextmanager
async def started(program: Program) -> AsyncIterator[Child]:
    """The process of `program`, stopped at the end. A Ctrl-C in the terminal is not sent to it."""
    with _log_file(program) as log:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env=program.environ,
            cwd=program.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    child = Child(program, process)
    try:
        yield child
    finally:
        await child.stop()


def free_ports(names: Sequence[str]) -> Mapping[str, int]:
    """A port of the loopback address for each name, free a moment ago."""
    ports: dict[str, int] = {}
    with ExitStack() as held:
        for port in random.sample(PORTS, len(PORTS)):
            if len(ports) == len(names):
                break
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports[names[len(ports)]] = port
    return ports


async def listens(port: int) -> bool:
    """Whether somebody accepts connections on a port of the loopback address."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _log_file(program: Program) -> BinaryIO:
    return program.log.open("ab")
