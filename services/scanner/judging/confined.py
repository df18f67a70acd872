"""Starting and stopping child processes that may not be trusted to end, or to stay small."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

_CONFINE = str(Path(__file__).with_name("confine.py"))


class Limits(msgspec.Struct, frozen=True):
    """What a child may use; None: what the system allows."""

    address_space: int
    file_size: int | None = None
    open_files: int = 1024
    cpu_seconds: int | None = None
    network: bool = True
    """False: none, where the system can keep it away."""

    @property
    def arguments(self) -> list[str]:
        """For confine.py."""
        limits = {
            "as": self.address_space,
            "fsize": self.file_size,
            "nofile": self.open_files,
            "cpu": self.cpu_seconds,
        }
        found = [f"{name}={limit}" for name, limit in limits.items() if limit is not None]
        return found if self.network else [*found, "net=0"]


async def start_confined(
    command: Sequence[str],
    *,
    limits: Limits,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int | IO[bytes] = asyncio.subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = asyncio.subprocess.DEVNULL,
) -> Process:
    """Start `command` (an absolute path first) in a process group of its own."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", _CONFINE, *limits.arguments, "--", *command),
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


async def kill_group(process: Process) -> None:
    """Kill the child and all that it started; returns when it is gone, cancelled or not."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    await asyncio.shield(process.wait())
