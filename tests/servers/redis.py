"""A Redis of the tests' own: loopback, a free port, everything in one temporary folder.

Works outside pytest too: `with RedisServer(folder) as server: ... server.url`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.servers.rabbitmq import free_ports

START_TIMEOUT = 10.0
TRIES = 5


class RedisServer:
    """One redis-server. `start()`, then `url`; `stop()` leaves no process and no file behind.

    `persistent`: an append-only file, so that records survive a restart. `arguments` are further
    options as on redis-server's command line. `tls` names (certificate, key) files: then the
    one port speaks TLS.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistent: bool = False,
        arguments: tuple[str, ...] = (),
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.folder = folder
        self.port = 0
        self._persistent = persistent
        self._arguments = arguments
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}/0"

    def url_of(self, user: str, password: str) -> str:
        """The address with somebody's name and password."""
        return self.url.replace("://", f"://{user}:{password}@", 1)

    def start(self) -> Self:
        """Start on a free port; again on another if somebody was quicker."""
        for attempt in range(TRIES):
            self.port = free_ports("redis")["redis"]
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
        with (self.folder / "redis.out").open("ab") as out:
            self._process = subprocess.Popen(
                [_executable(), *self._options()],
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """kill -9; an append-only file stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=10)

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
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def command(self, *words: str | int) -> Any:
        """What the server answers to a command of its administrator."""
        with self._administrator() as client:
            return client.execute_command(*words)

    def _administrator(self) -> Redis:
        return Redis(
            port=self.port,
            socket_timeout=5,
            decode_responses=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            ssl=self._tls is not None,
            ssl_cert_reqs="none",
            ssl_check_hostname=False,
        )

    def _options(self) -> list[str]:
        port = ["--port", str(self.port)]
        if self._tls:
            certificate, key = self._tls
            port = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            port += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        return [
            *port,
            *("--bind", "127.0.0.1"),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "yes" if self._persistent else "no"),
            *("--appendfsync", "always"),
            *self._arguments,
        ]

    def _wait_until_it_answers(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with contextlib.suppress(RedisError):
                if self.command("INFO", "server").get("process_id") == process.pid:
                    return
            if process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "redis.out").read_text(errors="replace")[-2_000:]
                self.kill()
                raise RuntimeError(f"redis-server did not start on port {self.port}: {said}")
            time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server is not running"
        os.kill(self._process.pid, number)


def _executable() -> str:
    found = shutil.which("redis-server", path=f"{os.defpath}:/usr/local/bin:/usr/sbin")
    if found is None:
        raise RuntimeError("redis-server is not installed: apt-get install redis-server")
    return found
