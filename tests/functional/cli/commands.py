"""Running the real command as a process of its own."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

REPOSITORY = Path(__file__).parents[3]


class Ran(msgspec.Struct, frozen=True):
    code: int
    out: str
    err: str


async def imagegate(*arguments: str, state: Path, **environ: str) -> Ran:
    """Run `imagegate ARGUMENTS` with nothing in its environment but what is given."""
    process = await asyncio.create_subprocess_exec(
        *_command(arguments),
        cwd=REPOSITORY,
        env=_environ(state, environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Ran(process.returncode or 0, out.decode(), err.decode())


class Running:
    """A command at work: what it printed so far, and what is typed into it."""

    def __init__(self, process: asyncio.subprocess.Process, *, read: int, write: int) -> None:
        self.out = ""
        self._process = process
        self._read = read
        self._write = write
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(read, self._arrived)

    async def printed(self, text: str, *, times: int = 1) -> None:
        """Wait until `text` was printed so often since the last `forget`."""
        async with asyncio.timeout(60):
            while self.out.count(text) < times:
                self._news.clear()
                await self._news.wait()

    def forget(self) -> None:
        """Begin anew with what is printed from now on."""
        self.out = ""

    def type(self, text: bytes) -> None:
        """At its terminal."""
        os.write(self._write, text)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.wait_for(self._process.wait(), 60)

    def stop_reading(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read)

    def _arrived(self) -> None:
        # A terminal whose program has ended answers with an error.
        try:
            some = os.read(self._read, 65_536)
        except OSError:
            some = b""
        if not some:
            self.stop_reading()
        self.out += some.decode(errors="replace")
        self._news.set()


@asynccontextmanager
async def started(
    *arguments: str, state: Path, terminal: bool = False, **environ: str
) -> AsyncIterator[Running]:
    """Start `imagegate ARGUMENTS`; in a `terminal`, else with its output in a pipe."""
    read, write = pty.openpty() if terminal else os.pipe()
    process = await asyncio.create_subprocess_exec(
        *_command(arguments),
        cwd=REPOSITORY,
        env=_environ(state, {"TERM": "xterm", "COLUMNS": "120", **environ}),
        stdin=write if terminal else asyncio.subprocess.DEVNULL,
        stdout=write,
        stderr=write,
    )
    os.close(write)
    running = Running(process, read=read, write=read)
    try:
        yield running
    finally:
        running.stop_reading()
        os.close(read)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _command(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return (sys.executable, "-m", "services.cli", *arguments)


def _environ(state: Path, environ: dict[str, str]) -> dict[str, str]:
    return {"IMAGEGATE_STATE": str(state), "PYTHONWARNINGS": "error", **environ}
