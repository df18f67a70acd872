"""Registries: how each host is reached, and with whose credentials."""

import re
from collections.abc import Mapping
from pathlib import Path

from shared.adapters.rules_file.strict_yaml import Value, items_of
from shared.domain.errors import InvalidReference
from shared.domain.glob import Glob
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule

KEYS = (
    "host",
    "repositories",
    "insecure",
    "credentials",
    "userFile",
    "passwordFile",
    "helper",
    "immutableTags",
)

HELPER = r"docker-credential-[a-z0-9-]+|/.+"
REPOSITORIES = r"[a-z0-9*?][a-z0-9._/*?-]*"
TAGS = r"[A-Za-z0-9_.*?-]{1,128}"

_HELPER = re.compile(HELPER)
_REPOSITORIES = re.compile(REPOSITORIES)
_TAGS = re.compile(TAGS)
_SUFFIX = re.compile(r"[a-z0-9-]+")

Fields = Mapping[str, Value]


def registries_of(value: Value, folder: Path) -> tuple[RegistryRule, ...]:
    """The entries; paths in them start at `folder`."""
    entries: list[RegistryRule] = []
    for item in value.items():
        entry = _registry(item, folder)
        for other in entries:
            if other.host == entry.host and _overlap(other.repositories, entry.repositories):
                raise item.wrong(
                    f"an entry for {entry.host} with the same repositories stands above; which "
                    "holds would be chance: make one of them"
                )
        entries.append(entry)
    return tuple(entries)


def host_of(value: Value) -> str:
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


def _registry(value: Value, folder: Path) -> RegistryRule:
    fields = value.fields(valid=KEYS, required=["host"])
    host = host_of(fields["host"])
    _one_kind_of_credentials(fields)

    def path(key: str) -> str:
        return str(folder.absolute() / fields[key].text()) if key in fields else ""

    return RegistryRule(
        host=host,
        repositories=tuple(
            item.made(lambda text: _repositories(text, host))
            for item in items_of(fields.get("repositories"))
        ),
        insecure=fields["insecure"].flag() if "insecure" in fields else False,
        credentials=path("credentials"),
        user_file=path("userFile"),
        password_file=path("passwordFile"),
        helper=fields["helper"].made(_helper) if "helper" in fields else "",
        immutable_tags=tuple(item.made(_tags) for item in items_of(fields.get("immutableTags"))),
    )


def _one_kind_of_credentials(fields: Fields) -> None:
    for key, other in (("userFile", "passwordFile"), ("passwordFile", "userFile")):
        if key in fields and other not in fields:
            raise fields[key].wrong(f"goes with {other}, which is missing: give both or neither")
    kinds = [key for key in ("credentials", "userFile", "helper") if key in fields]
    if len(kinds) > 1:
        raise fields[kinds[1]].wrong(
            f"stands beside {kinds[0]}; which of them holds would be chance: give one kind of "
            "credentials an entry"
        )


def _overlap(one: tuple[Glob, ...], other: tuple[Glob, ...]) -> bool:
    """Whether two entries of a host have a pattern in common; no pattern at all is one too."""
    return bool(set(one) & set(other)) or not (one or other)


def _repositories(text: str, host: str) -> Glob:
    if text.startswith(f"{host}/"):
        raise ValueError(f"{text!r} starts with the host, which stands beside it: leave it out")
    _refuse_classes(text)
    if not _REPOSITORIES.fullmatch(text):
        raise ValueError(
            f"{text!r} can match no repository: paths such as team-a/** have lower-case letters, "
            "digits, '.', '_', '-' and '/', and do not start with one of these signs"
        )
    return Glob(text, path=True)


def _tags(text: str) -> Glob:
    _refuse_classes(text)
    if not _TAGS.fullmatch(text):
        raise ValueError(
            f"{text!r} can match no tag: tags have letters, digits, '_', '.' and '-', 128 at most"
        )
    return Glob(text)


def _refuse_classes(text: str) -> None:
    if "[" in text or "]" in text:
        raise ValueError(
            f"{text!r} has a class in brackets, which is not taken any more: the wildcards are *, "
            "** and ?; write the alternatives out as patterns of their own"
        )


def _helper(text: str) -> str:
    if _HELPER.fullmatch(text):
        return text
    meant = f": docker-credential-{text}?" if _SUFFIX.fullmatch(text) else ""
    raise ValueError(
        f"{text[:100]!r} is no credential helper: give its name on PATH, docker-credential- and "
        f"lower-case letters, digits or '-', or an absolute path{meant}"
    )
