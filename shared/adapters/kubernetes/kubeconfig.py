"""Kubeconfig files: which API server a person means, and what they show it.

Read as kubectl reads them: several files are one, in which whoever says a thing first is right, and
a path in a file is about its own folder. What is not understood is refused by its name: to pass it
over would be to ask as somebody else, or to believe another server.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from shared.adapters.kubernetes.kubeconfig_entries import (
    ExecPlugin,
    NamedCluster,
    NamedUser,
    Of,
    User,
    read_entries,
)
from shared.domain.errors import InvalidSettings


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
    entries = read_entries(files, must=must)
    shown = ", ".join(map(str, files))
    name = context or entries.current
    if not name:
        raise InvalidSettings(
            f"{shown}: it has no current-context: name one with --context "
            f"({_known(entries.contexts)}), or set it with `kubectl config use-context`"
        )
    chosen = entries.contexts.get(name)
    if chosen is None:
        raise InvalidSettings(
            f"{shown}: there is no context {name!r}; known are {_known(entries.contexts)}"
        )
    about = f"{chosen.file}: the context {name!r} is about"
    wanted = chosen.entry.context
    cluster = entries.clusters.get(wanted.cluster)
    if cluster is None:
        raise InvalidSettings(f"{about} the cluster {wanted.cluster!r}, which stands nowhere")
    user = entries.users.get(wanted.user)
    if user is None and wanted.user:
        raise InvalidSettings(f"{about} the user {wanted.user!r}, who stands nowhere")
    return _chosen(name, cluster, user)


def _chosen(context: str, cluster: Of[NamedCluster], user: Of[NamedUser] | None) -> Chosen:
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


def _with_user(found: Chosen, user: Of[NamedUser]) -> Chosen:
    where, about = user.file, user.entry.user or User()
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


def _known(entries: Iterable[str]) -> str:
    return ", ".join(sorted(entries)[:20]) or "none"
