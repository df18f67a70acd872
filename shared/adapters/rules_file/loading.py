"""The rules file: YAML in, `Rules` out (docs/design/behaviour.md 4).

A file that could mean something laxer than it seems to say is refused: unknown and duplicate
keys, empty lists (which would stand for "all"), hosts and patterns that can never match.
"""

import re
from enum import StrEnum
from pathlib import Path

from shared.adapters.rules_file.strict_yaml import Value, read_yaml
from shared.domain.errors import InvalidReference
from shared.domain.glob import Glob
from shared.domain.reference import parse_reference
from shared.domain.rules import (
    DEFAULT_PLACEHOLDERS,
    DEFAULT_PLATFORMS,
    Mode,
    PolicyChoice,
    RegistryRule,
    Requirement,
    Rule,
    Rules,
)

_FILE = ("apiVersion", "default", "registries", "allowRegistries", "platforms", "placeholders")
_DEFAULT = ("mode", "require", "policy")
_POLICY = ("account", "id")
_REGISTRY = ("host", "repositories", "insecure", "credentials", "immutableTags")

_PATTERN = re.compile(r"[a-z0-9*?\[][a-z0-9._/*?\[\]!-]*")
_TAG_PATTERN = re.compile(r"[A-Za-z0-9_.*?\[\]!-]{1,128}")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+")
_MISNAMED = {"aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm", "x64": "amd64"}


class Version(StrEnum):
    """The versions of the format that can be read."""

    V1 = "imagegate.dev/v1"


def load_rules(path: Path) -> Rules:
    """Read a whole file. Raises InvalidRules, which names file, line and key."""
    fields = read_yaml(path).fields(valid=_FILE, required=["apiVersion"])
    fields["apiVersion"].choice(Version)
    return Rules(
        default=_rule(fields["default"]) if "default" in fields else Rule(),
        registries=_registries(fields.get("registries"), path.parent),
        allow_registries=tuple(map(_host, _items(fields.get("allowRegistries")))),
        platforms=tuple(map(_platform, _items(fields.get("platforms")))) or DEFAULT_PLATFORMS,
        placeholders=(
            tuple(item.text() for item in _items(fields.get("placeholders")))
            or DEFAULT_PLACEHOLDERS
        ),
    )


def _rule(value: Value) -> Rule:
    fields = value.fields(valid=_DEFAULT)
    policy = fields["policy"].fields(valid=_POLICY) if "policy" in fields else {}
    return Rule(
        mode=fields["mode"].choice(Mode) if "mode" in fields else Mode.ENFORCE,
        require=(
            fields["require"].choice(Requirement) if "require" in fields else Requirement.POLICY
        ),
        policy=PolicyChoice(**{key: field.text() for key, field in policy.items()}),
    )


def _registries(value: Value | None, folder: Path) -> tuple[RegistryRule, ...]:
    entries: list[RegistryRule] = []
    for item in _items(value):
        entry = _registry(item, folder)
        for other in entries:
            if other.host == entry.host and _overlap(other.repositories, entry.repositories):
                raise item.wrong(
                    f"an entry for {entry.host} with the same repositories stands above; which "
                    "holds would be chance: make one of them"
                )
        entries.append(entry)
    return tuple(entries)


def _registry(value: Value, folder: Path) -> RegistryRule:
    fields = value.fields(valid=_REGISTRY, required=["host"])
    host = _host(fields["host"])
    return RegistryRule(
        host=host,
        repositories=tuple(
            Glob(_pattern(item, host), path=True) for item in _items(fields.get("repositories"))
        ),
        insecure=fields["insecure"].flag() if "insecure" in fields else False,
        credentials=(
            str(folder.absolute() / fields["credentials"].text()) if "credentials" in fields else ""
        ),
        immutable_tags=tuple(
            Glob(_tag_pattern(item)) for item in _items(fields.get("immutableTags"))
        ),
    )


def _items(value: Value | None) -> tuple[Value, ...]:
    return tuple(value.items()) if value is not None else ()


def _overlap(one: tuple[Glob, ...], other: tuple[Glob, ...]) -> bool:
    """Whether two entries of a host have a pattern in common; no pattern at all is one too."""
    return bool(set(one) & set(other)) or not (one or other)


def _host(value: Value) -> str:
    """A host as references name it: lower case, `docker.io` for Docker Hub."""
    text = value.text()
    if "://" in text:
        raise value.wrong(f"{text!r} has a scheme; a host and its port suffice, such as ghcr.io")
    if "/" in text:
        raise value.wrong(
            f"{text!r} has a path; give the host here and the path under `repositories`"
        )
    try:
        reference = parse_reference(f"{text}/team/app")
    except InvalidReference as error:
        raise value.wrong(f"{text!r} is not a host: {error}") from error
    if reference.path != "team/app":
        raise value.wrong(
            f"{text!r} is not a host: an image reference would take it for a path of docker.io; "
            "give its domain or its port"
        )
    return reference.host


def _pattern(value: Value, host: str) -> str:
    text = value.text()
    if text.startswith(f"{host}/"):
        raise value.wrong(f"{text!r} starts with the host, which stands beside it: leave it out")
    if not _PATTERN.fullmatch(text):
        raise value.wrong(
            f"{text!r} can match no repository: paths such as team-a/** have lower-case letters, "
            "digits, '.', '_', '-' and '/', and do not start with one of these signs"
        )
    return text


def _tag_pattern(value: Value) -> str:
    text = value.text()
    if not _TAG_PATTERN.fullmatch(text):
        raise value.wrong(
            f"{text!r} can match no tag: tags have letters, digits, '_', '.' and '-', 128 at most"
        )
    return text


def _platform(value: Value) -> str:
    text = value.text()
    machine = text.partition("/")[2]
    if not _PLATFORM.fullmatch(text) or machine in _MISNAMED:
        meant = f"; {machine} is called {_MISNAMED[machine]}" if machine in _MISNAMED else ""
        raise value.wrong(
            f"{text!r} is not a platform: give os/architecture in Go's names without a variant, "
            f"such as linux/amd64 or linux/arm64{meant}"
        )
    return text
