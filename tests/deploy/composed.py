"""Reads compose.yaml as Compose does, as far as ours needs it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.told import SETTINGS, Told, lay_out, probe_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose"
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*))?\}")
KINDS = ("secrets", "configs", "volumes", "networks")

Compose = dict[str, Any]


def read_compose(
    *files: str, folder: Path = FOLDER, variables: Mapping[str, str] | None = None
) -> Compose:
    """compose.yaml, and `files` of its folder over it, with their variables filled in.

    KeyError for a variable without a value or a default.
    """
    read: Compose = {}
    for name in ("compose.yaml", *files):
        filled = _filled(yaml.safe_load((folder / name).read_text()), variables or {})
        read = _over(read, filled)
    return read


def _over(below: Any, above: Any) -> Any:
    """As Compose merges files: mappings key by key, volumes by where they are mounted; other lists
    are not merged by what we have."""
    if isinstance(below, dict) and isinstance(above, dict):
        shared = {
            key: _volumes(below[key], above[key])
            if key == "volumes" and isinstance(below[key], list)
            else _over(below[key], above[key])
            for key in below.keys() & above.keys()
        }
        return {**below, **above, **shared}
    assert not isinstance(below, list), "lists of two files are not understood here"
    return above


def _volumes(below: list[str], above: list[str]) -> list[str]:
    mounted = {volume.split(":")[1]: volume for volume in [*below, *above]}
    return list(mounted.values())


def told_by(compose: Compose, name: str, *, folder: Path, root: Path) -> Told:
    """What a service is told: `folder` is where compose.yaml and its secrets are, `root` an
    empty folder that becomes the container's."""
    service = compose["services"][name]
    files, writable = mounts(compose, name, folder=folder)
    test = service["healthcheck"]["test"]
    return Told(
        where=f"compose: {name}",
        command=tuple(service["command"]),
        environ=dict(service["environment"]),
        root=lay_out(root, files),
        writable=tuple(writable),
        probes=(probe_of(test[-1]),),
        ports=tuple(int(port.rpartition(":")[2]) for port in service.get("ports", ())),
    )


def mounts(
    compose: Compose, name: str, *, folder: Path = FOLDER
) -> tuple[dict[str, Path], list[str]]:
    """A service's mounted files (by their path in the container), and the folders it may write."""
    service = compose["services"][name]
    files = {}
    for kind, default in (("secrets", "/run/secrets/"), ("configs", "/")):
        for entry in service.get(kind, ()):
            source = entry["source"] if isinstance(entry, dict) else entry
            target = entry.get("target") if isinstance(entry, dict) else None
            files[target or default + source] = folder / compose[kind][source]["file"]
    writable = [entry.partition(":")[0] for entry in service.get("tmpfs", ())]
    for entry in service.get("volumes", ()):
        source, target, *how = entry.split(":")
        if source.startswith("./"):
            assert how == ["ro"], f"{entry}: what is mounted from here is for reading only"
            files[target] = folder / source
        else:
            writable.append(target)
    return files, writable


def ours(compose: Compose) -> list[str]:
    """The services that are processes of imagegate."""
    return [name for name in compose["services"] if name in SETTINGS]


def loose_ends(compose: Compose) -> list[str]:
    """What is used and not defined, or defined and not used."""
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for service in compose["services"].values():
        for kind in KINDS:
            for entry in service.get(kind, ()):
                name = entry["source"] if isinstance(entry, dict) else entry
                if not name.startswith("./"):
                    used[kind].add(name.partition(":")[0] if kind == "volumes" else name)
    return [
        f"{kind} {name}"
        for kind in KINDS
        for name in sorted(used[kind] ^ set(compose.get(kind, ())))
    ]


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, variables) for part in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, variables), value)
    return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    # As Compose does for `:-`: an empty variable counts as none.
    value = variables.get(found["name"]) or found["default"]
    if value is None:
        raise KeyError(found["name"])
    return value
