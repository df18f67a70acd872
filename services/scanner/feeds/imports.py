"""Imports in a process of their own, bounded in memory, gone with whoever started it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec

from services.scanner.feeds.import_process import Done, NotDone, Order, Went, Word
from services.scanner.feeds.state import (
    FeedBusy,
    FeedRefused,
    Imported,
    Progress,
    no_progress,
)
from services.scanner.judging.confined import Limits, kill_group, start_confined

_COMMAND = (sys.executable, "-P", "-m", "services.scanner.feeds.import_process")
_CHUNK = 64 * 1024
_MAX_LINE = 64 * 1024**2
_words = msgspec.json.Decoder(Word)


class Imports:
    """`import_records` for who must not wait for it, nor give it memory.

    `memory`: bytes of address space; `nice`: by how much it is less urgent than we are.
    """

    def __init__(self, folder: Path, *, memory: int, nice: int = 0) -> None:
        self.folder = folder
        self._limits = Limits(address_space=memory, network=False)
        self._nice = nice

    async def run(
        self,
        sources: Iterable[Path],
        *,
        whole: Iterable[str] = (),
        as_of: int | None = None,
        leave_out_unreadable: bool = False,
        progress: Progress = no_progress,
    ) -> Imported:
        """See `import_records`. Who is cancelled has the process killed: nothing changed then."""
        order = Order(
            folder=str(self.folder),
            sources=tuple(map(str, sources)),
            whole=tuple(whole),
            as_of=as_of,
            leave_out_unreadable=leave_out_unreadable,
            nice=self._nice,
        )
        process = await start_confined(
            _COMMAND,
            limits=self._limits,
            # Millions of entries are sorted on the disk, beside the feed that is made of them.
            env={"PATH": os.defpath, "SQLITE_TMPDIR": str(self.folder)},
            stdin=PIPE,
            stdout=PIPE,
            stderr=None,
        )
        try:
            return await _followed(process, order, progress)
        finally:
            await asyncio.shield(_gone(process))


async def _followed(process: Process, order: Order, progress: Progress) -> Imported:
    if process.stdin is None or process.stdout is None:
        raise FeedRefused("the import could not be started")
    try:
        process.stdin.write(msgspec.json.encode(order))
        await process.stdin.drain()
        process.stdin.close()
        async for line in _lines(process.stdout):
            match _words.decode(line):
                case Went(step, done, total):
                    progress(step, done, total)
                case Done(imported):
                    return imported
                case NotDone(why, message):
                    raise FeedBusy(message) if why == "busy" else FeedRefused(message)
    except ConnectionError:
        pass  # it has ended before it had read the order
    except msgspec.MsgspecError as error:
        raise FeedRefused(
            f"the import's answer cannot be read ({error}): was another version of imagegate "
            "installed meanwhile? `imagegate feeds status` tells what there is"
        ) from error
    code = await process.wait()
    raise FeedRefused(
        f"the import ended by {_how(code)} before it was done: the feed is what it was before. "
        "Was there enough memory and room on the disk? Run it again"
    )


async def _gone(process: Process) -> None:
    """Killed, and its pipe read to the end: else it would stay open."""
    await kill_group(process)
    while process.stdout is not None and await process.stdout.read(_CHUNK):
        pass


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines as long as they may be: the last one lists a thousand bad records."""
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > _MAX_LINE:
            return


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
