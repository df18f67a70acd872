"""A docker-registry of the tests' own, and skopeo to push to it.

Works outside pytest too: `with RegistryServer(folder) as server: server.push(content, "app:1")`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.domain.reference import ImageReference, parse_reference
from tests.fakes.images import Content, write_layout
from tests.servers.rabbitmq import free_ports

START_TIMEOUT = 10.0
PUSH_TIMEOUT = 60.0
TRIES = 5
USER, PASSWORD = "ada", "imagegate-tests"
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuP2PUa/bDr95xhjKJZTQ6oVlSOYr8L3C\n"
"""bcrypt of PASSWORD: the only kind that docker-registry reads."""


class RegistryServer:
    """One docker-registry over plain HTTP. `start()`, then `host`; `stop()` leaves nothing behind.

    `locked`: it wants USER and PASSWORD.
    """

    def __init__(self, folder: Path, *, locked: bool = False) -> None:
        self.folder = folder
        self.port = 0
        self._locked = locked
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
    def host(self) -> str:
        """As in a reference."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start on a free port; again on another if somebody was quicker."""
        for attempt in range(TRIES):
            self.port = free_ports("registry")["registry"]
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
        (self.folder / "config.yml").write_text(self._configuration())
        (self.folder / "htpasswd").write_text(_HTPASSWD)
        with (self.folder / "registry.out").open("ab") as out:
            self._process = subprocess.Popen(
                [_executable("docker-registry"), "serve", str(self.folder / "config.yml")],
                env={"PATH": os.defpath},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """kill -9; its data stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(timeout=10)

    def stop(self) -> None:
        """kill -9, and the folder with it."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """The server hangs: connections are accepted, nothing is answered."""
        assert self._process is not None, "the server is not running"
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def push(self, content: Content, name: str) -> ImageReference:
        """Push an image, or an index with all its images, as `PATH:TAG`."""
        reference = parse_reference(f"{self.host}/{name}")
        layout = self.folder / "layout"
        shutil.rmtree(layout, ignore_errors=True)
        write_layout(layout, content)
        login = ["--dest-creds", f"{USER}:{PASSWORD}"] if self._locked else []
        options = ["--all", "--preserve-digests", "--dest-tls-verify=false", *login]
        source, destination = f"oci:{layout}:latest", f"docker://{reference}"
        ran = subprocess.run(
            [_executable("skopeo"), "--insecure-policy", "copy", *options, source, destination],
            env={"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PUSH_TIMEOUT,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"skopeo could not push {reference}: {ran.stderr.decode()}")
        return reference

    def _configuration(self) -> str:
        lines = [
            "version: 0.1",
            "log: {level: error, accesslog: {disabled: true}}",
            f"storage: {{filesystem: {{rootdirectory: '{self.folder}/data'}}}}",
            f"http: {{addr: '{self.host}', secret: tests}}",
        ]
        if self._locked:
            lines.append(f"auth: {{htpasswd: {{realm: tests, path: '{self.folder}/htpasswd'}}}}")
        return "\n".join(lines) + "\n"

    def _wait_until_it_answers(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "registry.out").read_text(errors="replace")[-2_000:]
                self.kill()
                raise RuntimeError(f"docker-registry did not start on {self.host}: {said}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Ours holds the port if it was free and its process still lives."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.host}/v2/", timeout=1):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            return False


def _executable(name: str) -> str:
    found = shutil.which(name, path=f"{os.defpath}:/usr/local/bin:/usr/sbin")
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install {name}")
    return found
