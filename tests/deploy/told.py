"""What a deployment tells one of our processes, held against what the code takes.

Compose and Kubernetes say the same things in different words; both are read into `Told`, and
`mistakes` is the one judge of it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec
from typer.core import TyperGroup
from typer.main import get_command

from services.cli.__main__ import app as command_line
from services.console.settings import ConsoleSettings
from services.intake.settings import IntakeSettings
from services.scanner.settings import LOOPBACK, ScannerSettings
from services.webhook.settings import WebhookSettings
from services.worker.settings import WorkerSettings
from shared.adapters.rules_file.loading import load_rules
from shared.domain.errors import ImagegateError
from shared.runtime.health import health_app
from shared.runtime.metrics import Metrics
from shared.runtime.process import ProcessSettings
from shared.runtime.settings import Port, Secret, read_settings

SETTINGS: dict[str, type[ProcessSettings]] = {
    "webhook": WebhookSettings,
    "worker": WorkerSettings,
    "intake": IntakeSettings,
    "console": ConsoleSettings,
    "scanner": ScannerSettings,
}


class Probe(msgspec.Struct, frozen=True):
    """One question about a process' health."""

    port: int
    path: str
    outside: bool = False
    """Asked from another machine: not of the loopback address."""


class Told(msgspec.Struct, frozen=True):
    """A process of a deployment."""

    where: str
    """For messages."""
    command: tuple[str, ...]
    """What stands behind the image's entrypoint."""
    environ: dict[str, str]
    root: Path
    """A folder here that holds what is mounted, where the container has it."""
    writable: tuple[str, ...] = ()
    """Folders of the container that it may write."""
    probes: tuple[Probe, ...] = ()
    ports: tuple[int, ...] = ()
    """Of the container, that others call."""

    def here(self, path: str) -> Path | None:
        """What the container has at `path`, as a path of this machine; None: nothing."""
        found = self.root / path.lstrip("/")
        return found if found.exists() else None


def lay_out(root: Path, files: Mapping[str, Path]) -> Path:
    """`root` with a link to each file where the container has it; its name there is the key."""
    for path, file in files.items():
        link = root / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return root


def mistakes(told: Told) -> list[str]:
    """Everything that would go wrong at the start, or that nobody should do; empty when good."""
    commands = get_command(command_line)
    assert isinstance(commands, TyperGroup)
    if len(told.command) != 1 or told.command[0] not in commands.commands:
        return [f"{told.where}: imagegate {' '.join(told.command)} is no command"]
    settings = SETTINGS[told.command[0]]
    found = [*_names(told, settings), *_secrets(told, settings), *_paths(told, settings)]
    if not found:
        found = [f"{told.where}: {problem}" for problem in _as_read(told, settings)]
    return found


def fields(settings: type[ProcessSettings]) -> dict[str, Any]:
    """The variables of a service, each with the type of its field."""
    return {field.name.upper(): field.type for field in msgspec.structs.fields(settings)}


def is_path(kind: Any) -> bool:
    return kind is Path or Path in get_args(kind)


def own_environ(told: Told) -> dict[str, str]:
    """The variables, with the paths of this machine in place of the container's."""
    kinds = fields(SETTINGS[told.command[0]])
    environ = {}
    for name, value in told.environ.items():
        path = name.endswith("_FILE") or is_path(kinds.get(name))
        here = told.here(value) if path else None
        environ[name] = str(here) if here else value
    return environ


def _names(told: Told, settings: type[ProcessSettings]) -> Iterator[str]:
    known = fields(settings)
    for name in told.environ:
        if name not in known and name.removesuffix("_FILE") not in known:
            yield f"{told.where}: {name} is no setting of {settings.__name__}"


def _secrets(told: Told, settings: type[ProcessSettings]) -> Iterator[str]:
    for name, kind in fields(settings).items():
        if kind is Secret and name in told.environ:
            yield f"{told.where}: {name} is a secret and stands in the environment: {name}_FILE"


def _paths(told: Told, settings: type[ProcessSettings]) -> Iterator[str]:
    kinds = fields(settings)
    for name, value in told.environ.items():
        if name == "IMAGEGATE_STATE":
            if value not in told.writable:
                yield f"{told.where}: {name} is {value}, which it may not write"
        elif (name.endswith("_FILE") or is_path(kinds.get(name))) and told.here(value) is None:
            yield f"{told.where}: {name} is {value}, which is not mounted"


def _as_read(told: Told, settings: type[ProcessSettings]) -> Iterator[str]:
    """What the process itself would say, and whether it listens where it is asked."""
    try:
        read = read_settings(settings, environ=own_environ(told))
        rules = getattr(read, "imagegate_rules", None)
        if rules is not None:
            load_rules(rules)
    except ImagegateError as error:
        yield str(error)
        return
    serves = _served(read)
    health, paths = serves["imagegate_health_port"], _health_paths()
    if not told.probes:
        yield "nobody asks whether it is well"
    for probe in told.probes:
        if probe.port != health:
            yield f"a probe asks port {probe.port}, and it is well on {health}"
        if probe.path not in paths:
            yield f"a probe asks for {probe.path}, which is none of {sorted(paths)}"
        if probe.outside and _host(read, "imagegate_health_port") in LOOPBACK:
            yield "a probe asks from outside, and IMAGEGATE_HEALTH_HOST is the loopback address"
    for port in told.ports:
        names = [name for name, number in serves.items() if number == port]
        if not names:
            yield f"port {port} is none of {serves}"
        elif _host(read, names[0]) in LOOPBACK:
            yield f"port {port} is called from outside, and it listens on the loopback address"


def _served(read: ProcessSettings) -> Mapping[str, int]:
    return {
        field.name: getattr(read, field.name)
        for field in msgspec.structs.fields(read)
        if field.type == Port
    }


def _host(read: ProcessSettings, port: str) -> str:
    return str(getattr(read, port.removesuffix("_port") + "_host"))


def _health_paths() -> set[str]:
    app = health_app(ready={}, metrics=Metrics(), stopping=asyncio.Event())
    return {route.resource.canonical for route in app.router.routes() if route.resource}


def probe_of(url: str) -> Probe:
    """A probe that is asked inside the container."""
    where = urlsplit(url)
    assert where.hostname in LOOPBACK, f"{url}: a health check runs inside the container"
    return Probe(where.port or 80, where.path)
