"""Ports for servers of the tests' own, each given to one process alone.

A port that is only looked at is free for a moment: until its server listens, another process of
tests may be given it too. So who gives one away holds a lock for it, as long as it lives.
"""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
import threading
from pathlib import Path

PORTS = range(10_000, 32_000)
"""Below the ports that the kernel hands to outgoing connections (broker-facts.md 3)."""


TRIES = 10_000


class _Given:
    """Those of this process. The file has a byte for each port, and nothing stands in it."""

    def __init__(self) -> None:
        self._ports: set[int] = set()
        self._alone = threading.Lock()
        self._file: int | None = None

    def next(self) -> int:
        """One that nobody was given."""
        with self._alone:
            for _ in range(TRIES):
                port = random.choice(PORTS)
                # A lock keeps nobody from it in the process that has it.
                if port not in self._ports and self._lock(port) and _is_free(port):
                    self._ports.add(port)
                    return port
        raise RuntimeError("no port is free: other tests hold them all")

    def _lock(self, port: int) -> bool:
        if self._file is None:
            self._file = _opened()
        with contextlib.suppress(BlockingIOError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            return True
        return False


_given = _Given()


def free_ports(*names: str) -> dict[str, int]:
    """A free port for each name, below the ephemeral ones: this process's until it ends."""
    return {name: _given.next() for name in names}


def free_port() -> int:
    """One of them."""
    return _given.next()


def _opened() -> int:
    """Never closed: with a file's first close a process loses all its locks on it."""
    file = Path(tempfile.gettempdir()) / f"imagegate-tests-ports-{os.getuid()}"
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
