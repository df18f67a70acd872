"""A server of the tests' own that is one process on one port, with its files in one folder."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.ports import free_ports

START_TIMEOUT = 45.0
STOP_TIMEOUT = 30.0
POLL = 0.01
TRIES = 5


class ServerProcess(ABC):
    """`start()`, or a `with` block; `stop()` leaves no process and no file behind."""

    name: str
    """The program, as it is called in messages."""
    start_within = START_TIMEOUT
    """Seconds until it must answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command_line(self) -> list[str]:
        """What to run; its files are written here too."""

    def environment(self) -> dict[str, str]:
        """What it is told besides."""
        return {}

    @abstractmethod
    def answers(self) -> bool:
        """Whether it answers on its port now."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start on a free port; again on another if somebody was quicker."""
        for attempt in range(TRIES):
            self.port = free_ports(self.name)[self.name]
            try:
                self.start_again()
            except RuntimeError:
                if attempt == TRIES - 1:
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def start_again(self) -> None:
        """Start on the port and the data it had before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._output.open("ab") as out:
            self.process = subprocess.Popen(
                self.command_line(),
                env={"PATH": os.defpath, "LANG": "C.UTF-8", **self.environment()},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._wait_until_it_answers(self.process)

    def kill(self) -> None:
        """kill -9; its data stays."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait(timeout=30)

    def restart(self) -> None:
        """kill -9, and a start on the same port."""
        self.kill()
        self.start_again()

    def stop(self) -> None:
        """kill -9, and the folder with it: nothing in it is wanted again."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pause(self) -> None:
        """The server hangs: connections stay and are even accepted, nothing is answered."""
        stop(self._running())

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def said(self) -> str:
        """Its last words."""
        return self._output.read_text(errors="replace")[-2_000:]

    @property
    def _output(self) -> Path:
        return self.folder / f"{self.name}.out"

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.start_within
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                said = self.said()
                self.kill()
                raise RuntimeError(f"{self.name} did not start on port {self.port}: {said}")
            time.sleep(POLL)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, f"{self.name} is not running"
        return self.process


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGSTOP, and return when each thread stands: on a busy machine some go on for a moment."""
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + STOP_TIMEOUT
    while os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {process.pid} does not stand still")
        time.sleep(0.001)


def executable(name: str) -> str:
    """Where the program is; RuntimeError says what to install."""
    found = shutil.which(name, path=f"{os.defpath}:/usr/local/bin:/usr/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install {name}")
    return found
