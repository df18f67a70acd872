"""Exec plugins of a kubeconfig: programs that give a user's credentials for the API server.

By the protocol of `client.authentication.k8s.io` v1 and v1beta1, as kubectl runs them: no shell,
our environment and the kubeconfig's variables, what it wants to say on standard error, an
ExecCredential on its output. A run is bounded in time and output, and its answer is shown nowhere.
"""

import asyncio
import base64
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from shared.adapters.kubernetes.access import is_token
from shared.adapters.kubernetes.kubeconfig import Chosen
from shared.adapters.kubernetes.kubeconfig_entries import ExecPlugin
from shared.domain.errors import ClusterMisconfigured, InvalidSettings

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")

SILENT = 60.0
"""Seconds that a program gets which asks nobody."""
SPEAKING = 300.0
"""Seconds where there is a person whom it may send to a browser."""
MAX_OUTPUT = 1024 * 1024


class Credential(msgspec.Struct, rename="camel", frozen=True):
    """What a plugin gives: a token, a client certificate with its key (PEM), or both."""

    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None
    """None: as long as this process lives."""


class _Answer(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: Credential | None = None


class ExecProgram:
    """Runs one plugin."""

    def __init__(
        self,
        chosen: Chosen,
        plugin: ExecPlugin,
        *,
        environ: Mapping[str, str],
        terminal: bool,
        within: float | None = None,
    ) -> None:
        """`environ`: what it is started with beside its own variables; `terminal`: whether a
        person sits at our standard input; `within`: seconds, None: by whether it may ask."""
        self._chosen = chosen
        self._plugin = plugin
        self._environ = environ
        self._interactive = terminal and plugin.interactive_mode != "Never"
        self._within = within or (SPEAKING if self._interactive else SILENT)

    def check(self) -> None:
        """Raises InvalidSettings for one that must not be run, or cannot be."""
        plugin, label = self._plugin, f"{self._chosen.source}: the exec plugin {self.name}"
        if plugin.api_version not in VERSIONS:
            raise InvalidSettings(
                f"{label} speaks {plugin.api_version!r}; known are {' and '.join(VERSIONS)}"
            )
        if plugin.interactive_mode not in (None, "Never", "IfAvailable", "Always"):
            raise InvalidSettings(
                f"{label} has the interactiveMode {plugin.interactive_mode!r}: it must be Never, "
                "IfAvailable or Always"
            )
        if plugin.interactive_mode == "Always" and not self._interactive:
            raise InvalidSettings(
                f"{label} must ask somebody (interactiveMode Always): use a terminal"
            )
        if self._found() is None:
            hint = f". {plugin.install_hint.strip()}" if plugin.install_hint else ""
            raise InvalidSettings(f"{label} is not there: install it, or see your PATH{hint}")

    @property
    def name(self) -> str:
        """As the kubeconfig writes it."""
        return self._plugin.command

    async def run(self) -> Credential:
        """Raises ClusterMisconfigured, InvalidSettings."""
        self.check()
        try:
            async with asyncio.timeout(self._within):
                code, output = await self._execute()
        except TimeoutError as error:
            raise self._failed(f"did not end in {self._within:g} s") from error
        except OSError as error:
            raise self._failed(f"cannot be started: {(error.strerror or '').lower()}") from error
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise self._failed(f"{how}; what it says stands above")
        if len(output) > MAX_OUTPUT:
            raise self._failed(f"wrote more than {MAX_OUTPUT} bytes")
        return self._read(output)

    def _found(self) -> str | None:
        """A name is looked for in PATH, a path is about the kubeconfig's folder."""
        command = self._plugin.command
        if os.sep in command:
            command = str(self._chosen.plugin_folder / command)
        return shutil.which(command, path=self._environ.get("PATH"))

    async def _execute(self) -> tuple[int, bytes]:
        """Exit code and output. In a group of its own only where it asks nobody: else it could not
        read from the terminal."""
        process = await asyncio.create_subprocess_exec(
            self._found() or self.name,
            *(self._plugin.args or ()),
            stdin=None if self._interactive else asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=None,
            env=self._variables(),
            start_new_session=not self._interactive,
        )
        assert process.stdout is not None
        try:
            output = bytearray()
            while len(output) <= MAX_OUTPUT and (piece := await process.stdout.read(65_536)):
                output += piece
            if len(output) <= MAX_OUTPUT:
                return await process.wait(), bytes(output)
            return 0, bytes(output)
        finally:
            await self._end(process)

    async def _end(self, process: Process) -> None:
        """It is gone, cancelled or not."""
        if process.returncode is None:
            with suppress(ProcessLookupError):
                if self._interactive:
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())

    def _variables(self) -> dict[str, str]:
        spec: dict[str, object] = {"interactive": self._interactive}
        if self._plugin.provide_cluster_info:
            spec["cluster"] = self._cluster()
        info = {"kind": "ExecCredential", "apiVersion": self._plugin.api_version, "spec": spec}
        own = {each.name: each.value for each in self._plugin.env or ()}
        text = msgspec.json.encode(info).decode()
        return {**self._environ, **own, "KUBERNETES_EXEC_INFO": text}

    def _cluster(self) -> dict[str, str]:
        chosen = self._chosen
        told = {
            "server": chosen.server,
            "tls-server-name": chosen.server_name,
            "proxy-url": chosen.proxy,
        }
        if chosen.authority:
            pem = chosen.authority.text.encode()
            if chosen.authority.file is not None:
                pem = _contents(chosen.authority.file)
            told["certificate-authority-data"] = base64.b64encode(pem).decode()
        return {name: value for name, value in told.items() if value}

    def _read(self, output: bytes) -> Credential:
        try:
            answer = msgspec.json.decode(output, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._failed("answered with something that is no ExecCredential") from error
        if answer.kind != "ExecCredential" or answer.api_version != self._plugin.api_version:
            raise self._failed(
                f"answered a {answer.kind!r} of {answer.api_version!r}, and is to speak "
                f"{self._plugin.api_version}"
            )
        given = answer.status
        if given is None or not (given.token or given.client_certificate_data):
            raise self._failed("gave neither a token nor a client certificate")
        if bool(given.client_certificate_data) != bool(given.client_key_data):
            raise self._failed("gave half of a client certificate and its key")
        if not is_token(given.token):
            raise self._failed("gave a token that can be no header")
        return given

    def _failed(self, what: str) -> ClusterMisconfigured:
        return ClusterMisconfigured(
            f"{self._chosen.source}: the exec plugin {self.name} {what}; `kubectl get pods` with "
            "this kubeconfig shows whether it works"
        )


def has_terminal() -> bool:
    """Whether a person sits at standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def _contents(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise ClusterMisconfigured(f"cannot read {file}: {reason}") from error
