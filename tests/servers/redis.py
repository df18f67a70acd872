"""A Redis of the tests' own: loopback, a free port, everything in one temporary folder.

Works outside pytest too: `with RedisServer(folder) as server: ... server.url`.
"""

import contextlib
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.servers.process import ServerProcess, executable


class RedisServer(ServerProcess):
    """One redis-server. `start()`, then `url`; `stop()` leaves no process and no file behind.

    `persistent`: an append-only file, so that records survive a restart. `arguments` are further
    options as on redis-server's command line. `tls` names (certificate, key) files: then the
    one port speaks TLS.
    """

    name = "redis-server"

    def __init__(
        self,
        folder: Path,
        *,
        persistent: bool = False,
        arguments: tuple[str, ...] = (),
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        super().__init__(folder)
        self._persistent = persistent
        self._arguments = arguments
        self._tls = tls

    @property
    def url(self) -> str:
        return f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}/0"

    def url_of(self, user: str, password: str) -> str:
        """The address with somebody's name and password."""
        return self.url.replace("://", f"://{user}:{password}@", 1)

    def command(self, *words: str | bytes | int) -> Any:
        """What the server answers to a command of its administrator."""
        return self.command_of("default", *words)

    def command_of(self, user: str, *words: str | bytes | int) -> Any:
        """What it answers to a user who needs no password."""
        with self._client(user) as client:
            return client.execute_command(*words)

    def _client(self, user: str) -> Redis:
        return Redis(
            port=self.port,
            username=None if user == "default" else user,
            password=None if user == "default" else "",
            socket_timeout=5,
            decode_responses=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            ssl=self._tls is not None,
            ssl_cert_reqs="none",
            ssl_check_hostname=False,
        )

    def command_line(self) -> list[str]:
        port = ["--port", str(self.port)]
        if self._tls:
            certificate, key = self._tls
            port = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            port += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        return [
            executable(self.name),
            *port,
            *("--bind", "127.0.0.1"),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "yes" if self._persistent else "no"),
            *("--appendfsync", "always"),
            *self._arguments,
        ]

    def answers(self) -> bool:
        """Ours, not another that was quicker on the port."""
        assert self.process is not None
        with contextlib.suppress(RedisError):
            return bool(self.command("INFO", "server").get("process_id") == self.process.pid)
        return False
