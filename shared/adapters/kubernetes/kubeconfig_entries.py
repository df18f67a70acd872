"""What stands in kubeconfig files: their entries, and several files as one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from shared.domain.errors import InvalidSettings

MAX_FILE = 4 * 1024 * 1024
"""Bytes; a file with hundreds of clusters and their certificates has less."""

Entry = TypeVar("Entry")


class Cluster(msgspec.Struct, rename="kebab", frozen=True):
    """An API server, and what it is known by."""

    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = None


class _Variable(msgspec.Struct, frozen=True):
    name: str
    value: str


class ExecPlugin(msgspec.Struct, rename="camel", frozen=True):
    """The program that gives a user's credentials (`exec`)."""

    command: str
    api_version: str
    args: tuple[str, ...] | None = None
    env: tuple[_Variable, ...] | None = None
    interactive_mode: str | None = None
    provide_cluster_info: bool | None = None
    install_hint: str | None = None


class User(msgspec.Struct, rename="kebab", frozen=True):
    """What a person shows. What is not understood stands here too: it is refused by its name."""

    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: ExecPlugin | None = None
    username: str | None = None
    password: str | None = None
    auth_provider: Any = None
    impersonate: str | None = msgspec.field(default=None, name="as")
    impersonate_uid: str | None = msgspec.field(default=None, name="as-uid")
    impersonate_groups: Any = msgspec.field(default=None, name="as-groups")
    impersonate_extra: Any = msgspec.field(default=None, name="as-user-extra")


class Context(msgspec.Struct, frozen=True):
    """Who asks whom, by their names."""

    cluster: str = ""
    user: str = ""
    namespace: str | None = None


class NamedCluster(msgspec.Struct, frozen=True):
    """One of `clusters`."""

    name: str
    cluster: Cluster = Cluster()


class NamedUser(msgspec.Struct, frozen=True):
    """One of `users`."""

    name: str
    user: User | None = None


class NamedContext(msgspec.Struct, frozen=True):
    """One of `contexts`."""

    name: str
    context: Context = Context()


class _Document(msgspec.Struct, rename="kebab", frozen=True):
    clusters: tuple[NamedCluster, ...] | None = None
    users: tuple[NamedUser, ...] | None = None
    contexts: tuple[NamedContext, ...] | None = None
    current_context: str | None = None


Named = TypeVar("Named", NamedCluster, NamedUser, NamedContext)


class Of(msgspec.Struct, Generic[Entry], frozen=True):
    """An entry, and the file it stands in."""

    file: Path
    entry: Entry


class Entries(msgspec.Struct, frozen=True):
    """Several files as one: of each name what was said of it first."""

    current: str
    """The context a person works in; empty: none is."""
    contexts: dict[str, Of[NamedContext]]
    clusters: dict[str, Of[NamedCluster]]
    users: dict[str, Of[NamedUser]]


def read_entries(files: Sequence[Path], *, must: bool) -> Entries:
    """What stands in all `files` together; one that is not there is passed over, but not where it
    `must` be. Raises InvalidSettings, which names the file."""
    documents = [Of(file, found) for file in files if (found := _read(file, must)) is not None]
    if not documents:
        raise InvalidSettings(f"there is no kubeconfig {', '.join(map(str, files))}")
    return Entries(
        current=next((d.entry.current_context for d in documents if d.entry.current_context), ""),
        contexts=_first(Of(d.file, one) for d in documents for one in d.entry.contexts or ()),
        clusters=_first(Of(d.file, one) for d in documents for one in d.entry.clusters or ()),
        users=_first(Of(d.file, one) for d in documents for one in d.entry.users or ()),
    )


def _read(file: Path, must: bool) -> _Document | None:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        if must:
            raise InvalidSettings(f"there is no kubeconfig {file}") from error
        return None
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise InvalidSettings(f"cannot read the kubeconfig {file}: {reason}") from error
    if len(text) > MAX_FILE:
        raise InvalidSettings(f"the kubeconfig {file} is larger than {MAX_FILE} bytes")
    try:
        return msgspec.convert(yaml.safe_load(text) or {}, _Document)
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        # Of YAML's own message the place alone: the text beside it may be a key.
        mark = getattr(error, "problem_mark", None)
        at = f"line {mark.line + 1}" if mark is not None else " ".join(str(error).split())
        raise InvalidSettings(f"the kubeconfig {file} cannot be read: {at}") from error


def _first(entries: Iterable[Of[Named]]) -> dict[str, Of[Named]]:
    found: dict[str, Of[Named]] = {}
    for one in entries:
        found.setdefault(one.entry.name, one)
    return found
