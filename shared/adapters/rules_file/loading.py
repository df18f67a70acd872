"""The rules file: YAML in, `Rules` out (docs/design/behaviour.md 4).

A file that could mean something laxer than it seems to say is refused: unknown and duplicate
keys, empty lists (which would stand for "all"), hosts and patterns that can never match, rules
that are never reached.
"""

import re
from enum import StrEnum
from pathlib import Path

from shared.adapters.rules_file.document import read_content, read_yaml
from shared.adapters.rules_file.exceptions import exceptions_of
from shared.adapters.rules_file.registries import host_of, registries_of
from shared.adapters.rules_file.rules import default_of, rules_of
from shared.adapters.rules_file.strict_yaml import items_of
from shared.domain.rules import DEFAULT_PLACEHOLDERS, Rule, Rules

KEYS = (
    "apiVersion",
    "rules",
    "default",
    "exceptions",
    "registries",
    "allowRegistries",
    "platforms",
    "placeholders",
)

PLATFORM = r"[a-z0-9]+/[a-z0-9]+"

_PLATFORM = re.compile(PLATFORM)
_MISNAMED = {"aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm", "x64": "amd64"}


class Version(StrEnum):
    """The versions of the format that can be read."""

    V1 = "imagegate.dev/v1"


def load_rules(path: Path) -> Rules:
    """Read a whole file. Raises InvalidRules, which names file, line and key."""
    return parse_rules(read_content(path), path=path)


def parse_rules(content: bytes, *, path: Path) -> Rules:
    """The rules in the content of the file at `path`. Raises InvalidRules."""
    fields = read_yaml(content, file=str(path)).fields(valid=KEYS, required=["apiVersion"])
    fields["apiVersion"].choice(Version)
    return Rules(
        default=default_of(fields["default"]) if "default" in fields else Rule(),
        rules=rules_of(fields["rules"]) if "rules" in fields else (),
        exceptions=exceptions_of(fields["exceptions"]) if "exceptions" in fields else (),
        registries=(
            registries_of(fields["registries"], path.parent) if "registries" in fields else ()
        ),
        allow_registries=tuple(map(host_of, items_of(fields.get("allowRegistries")))),
        platforms=tuple(item.made(_platform) for item in items_of(fields.get("platforms"))),
        placeholders=(
            tuple(item.text() for item in items_of(fields.get("placeholders")))
            or DEFAULT_PLACEHOLDERS
        ),
    )


def _platform(text: str) -> str:
    machine = text.partition("/")[2]
    if not _PLATFORM.fullmatch(text) or machine in _MISNAMED:
        meant = f"; {machine} is called {_MISNAMED[machine]}" if machine in _MISNAMED else ""
        raise ValueError(
            f"{text!r} is not a platform: give os/architecture in Go's names without a variant, "
            f"such as linux/amd64 or linux/arm64{meant}"
        )
    return text
