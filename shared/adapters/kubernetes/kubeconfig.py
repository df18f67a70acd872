"""Kubeconfig files: which API server a person means, and what they show it.

Read as kubectl reads them: several files are one, in which whoever says a thing first is right, and
a path in a file is about its own folder. What is not understood is refused by its name: to pass it
over would be to ask as somebody else, or to believe another server.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from shared.domain.errors import InvalidSettings

MAX_FILE = 4 * 1024 * 1024
"""Bytes; a file with hundreds of clusters and their certificates has less."""

Entry = TypeVar("Entry")


class _Cluster(msgspec.Struct, rename="kebab", frozen=True):
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


class _User(msgspec.Struct, rename="kebab", frozen=True):
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


class _Context(msgspec.Struct, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str | None = None


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str
    cluster: _Cluster = _Cluster()


class _NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: _User | None = None


class _NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: _Context = _Context()


class _Document(msgspec.Struct, rename="kebab", frozen=True):
    clusters: tuple[_NamedCluster, ...] | None = None
    users: tuple[_NamedUser, ...] | None = None
    contexts: tuple[_NamedContext, ...] | None = None
    current_context: str | None = None


class _Of(msgspec.Struct, Generic[Entry], frozen=True):
    """An entry, and the file it stands in."""

    file: Path
    entry: Entry


class Material(msgspec.Struct, frozen=True):
    """A certificate or a key: in a file, or as it stood in the kubeconfig."""

    file: Path | None = None
    text: str = ""

    def __bool__(self) -> bool:
        return self.file is not None or bool(self.text)


class Chosen(msgspec.Struct, frozen=True):
    """One context of a kubeconfig, whole."""

    context: str
    cluster: str
    source: Path
    """The file in which its cluster stands."""
    server: str
    authority: Material = Material()
    server_name: str = ""
    """The name in the server's certificate, where it is not the host's."""
    proxy: str = ""
    token: str = ""
    token_file: Path | None = None
    certificate: Material = Material()
    key: Material = Material()
    plugin: ExecPlugin | None = None
    plugin_folder: Path = Path()
    """What a relative path of the program is about."""


_UNSUPPORTED = (
    ("username", "a user name and a password, which no API server takes since Kubernetes 1.19"),
    ("password", "a user name and a password, which no API server takes since Kubernetes 1.19"),
    ("auth_provider", "an auth-provider, which Kubernetes 1.26 removed: use its exec plugin"),
    ("impersonate", "as: who asks here asks as themselves"),
    ("impersonate_uid", "as-uid: who asks here asks as themselves"),
    ("impersonate_groups", "as-groups: who asks here asks as themselves"),
    ("impersonate_extra", "as-user-extra: who asks here asks as themselves"),
)


def read_kubeconfig(files: Sequence[Path], *, context: str = "", must: bool = False) -> Chosen:
    """The context of that name, else the current one, of all `files` together.

    A file that is not there is passed over, but not where it `must` be. Raises InvalidSettings,
    which names file and entry.
    """
    documents = [_Of(file, found) for file in files if (found := _read(file, must)) is not None]
    shown = ", ".join(map(str, files))
    if not documents:
        raise InvalidSettings(f"there is no kubeconfig {shown}")
    name = context or next(
        (d.entry.current_context for d in documents if d.entry.current_context), ""
    )
    contexts = _first(_Of(d.file, one) for d in documents for one in d.entry.contexts or ())
    if not name:
        raise InvalidSettings(
            f"{shown}: it has no current-context: name one with --context "
            f"({_known(contexts)}), or set it with `kubectl config use-context`"
        )
    chosen = contexts.get(name)
    if chosen is None:
        raise InvalidSettings(
            f"{shown}: there is no context {name!r}; known are {_known(contexts)}"
        )
    clusters = _first(_Of(d.file, one) for d in documents for one in d.entry.clusters or ())
    users = _first(_Of(d.file, one) for d in documents for one in d.entry.users or ())
    wanted = chosen.entry.context
    cluster = clusters.get(wanted.cluster)
    if cluster is None:
        raise InvalidSettings(
            f"{chosen.file}: the context {name!r} is about the cluster {wanted.cluster!r}, which "
            "stands nowhere"
        )
    user = users.get(wanted.user)
    if user is None and wanted.user:
        raise InvalidSettings(
            f"{chosen.file}: the context {name!r} is about the user {wanted.user!r}, who stands "
            "nowhere"
        )
    return _chosen(name, cluster, user)


def _chosen(context: str, cluster: "_Of[_NamedCluster]", user: "_Of[_NamedUser] | None") -> Chosen:
    where, about = cluster.file, cluster.entry.cluster
    label = f"{where}: the cluster {cluster.entry.name!r}"
    if about.insecure_skip_tls_verify:
        raise InvalidSettings(
            f"{label} has insecure-skip-tls-verify: whoever answers there would get the "
            "credentials. Give it certificate-authority-data, and tls-server-name where its "
            "certificate is for another name"
        )
    if not about.server:
        raise InvalidSettings(f"{label} has no server")
    found = Chosen(
        context=context,
        cluster=cluster.entry.name,
        source=where,
        server=about.server,
        authority=_material(
            about.certificate_authority, about.certificate_authority_data, where, label
        ),
        server_name=about.tls_server_name or "",
        proxy=about.proxy_url or "",
    )
    if user is None:
        return found
    return _with_user(found, user)


def _with_user(found: Chosen, user: "_Of[_NamedUser]") -> Chosen:
    where, about = user.file, user.entry.user or _User()
    label = f"{where}: the user {user.entry.name!r}"
    for field, what in _UNSUPPORTED:
        if getattr(about, field):
            raise InvalidSettings(f"{label} has {what}")
    certificate = _material(about.client_certificate, about.client_certificate_data, where, label)
    key = _material(about.client_key, about.client_key_data, where, label)
    if bool(certificate) != bool(key):
        missing = "client-key" if certificate else "client-certificate"
        raise InvalidSettings(f"{label} has no {missing} beside the other half")
    # As kubectl: who has a token is asked for no other, and a token's file is read anew.
    plugin = None if about.token or about.token_file else about.exec
    return msgspec.structs.replace(
        found,
        token=about.token or "",
        token_file=_beside(where, about.token_file),
        certificate=certificate,
        key=key,
        plugin=plugin,
        plugin_folder=where.parent,
    )


def _material(file: str | None, data: str | None, where: Path, label: str) -> Material:
    """The text where there is one: it goes before a file."""
    if data:
        try:
            return Material(text=base64.b64decode(data, validate=True).decode())
        except (binascii.Error, ValueError) as error:
            raise InvalidSettings(f"{label}: a certificate or key is no base64 of PEM") from error
    return Material(file=_beside(where, file))


def _beside(where: Path, file: str | None) -> Path | None:
    return where.parent / Path(file).expanduser() if file else None


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


def _first(entries: "Iterable[_Of[Any]]") -> "dict[str, _Of[Any]]":
    """By name, the first of each."""
    found: dict[str, _Of[Any]] = {}
    for one in entries:
        found.setdefault(one.entry.name, one)
    return found


def _known(entries: Iterable[str]) -> str:
    return ", ".join(sorted(entries)[:20]) or "none"
