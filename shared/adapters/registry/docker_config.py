"""dockerconfigjson files: which login, or which helper, is for a repository.

The format is that of `~/.docker/config.json` and of secrets of type
kubernetes.io/dockerconfigjson: `{"auths": {HOST: {"auth": base64("user:password")}}}`, or
`username` and `password`, or `identitytoken`. `credHelpers` and `credsStore` name programs
instead, which is what `docker login` writes on a desktop. A key may have a scheme and a path
(docs/design/registry.md, "Credentials").
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.logins import IdentityToken, Login, Password

_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_WHOLE_HOST = frozenset({"", "v1", "v2"})
_SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Entry = TypeVar("Entry")


class Helper(msgspec.Struct, frozen=True):
    """The program to ask instead."""

    program: str


class _Auth(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class DockerConfig(msgspec.Struct, rename="camel"):
    """A whole file, as far as it is about logins."""

    auths: dict[str, _Auth] = {}
    cred_helpers: dict[str, str] = {}
    creds_store: str = ""

    def login(self, target: Target) -> Login | Helper:
        """The host's own helper before an entry with a secret, and that before the store of all
        others. Raises ValueError, whose words follow the file's name."""
        suffix = _best(self.cred_helpers, target)
        if suffix is not None:
            return _helper(suffix)
        host = target.reference.host
        entry = _best(self.auths, target)
        login = _login(entry, host) if entry is not None else None
        if login is not None:
            return login
        if self.creds_store:
            return _helper(self.creds_store)
        if entry is None:
            raise ValueError(f"has no entry for {host}; add one")
        raise ValueError(f"has no password for {host}; log in with a user and a password")

    def parts(self, host: str) -> tuple[str, ...]:
        """The paths of the keys that are for a part of the host alone."""
        keys = (*self.auths, *self.cred_helpers)
        paths = [path for key in keys for named, path in [_place(key)] if _same_host(named, host)]
        return tuple(dict.fromkeys(path for path in paths if path))


def read_docker_config(content: bytes) -> DockerConfig:
    """Raises ValueError, whose words follow the file's name."""
    try:
        return msgspec.json.decode(content, type=DockerConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError("is not a dockerconfigjson file") from None


def _login(entry: _Auth, host: str) -> Login | None:
    # Beside an identity token stands an `auth` with a user and no password.
    if entry.identitytoken:
        return IdentityToken(entry.identitytoken)
    if entry.username and entry.password:
        return Password(entry.username, entry.password)
    if not entry.auth:
        return None
    try:
        text = base64.b64decode(entry.auth, validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    user, colon, password = text.rstrip("\0").partition(":")
    if not colon:
        raise ValueError(f"has an `auth` for {host} that is not base64 of user:password")
    return Password(user, password)


def _helper(suffix: str) -> Helper:
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError("names a credential helper that is no name of a program")
    return Helper(f"docker-credential-{suffix}")


def _best(entries: Mapping[str, Entry], target: Target) -> Entry | None:
    """The entry of the host with the longest path that the repository is under."""
    best, length = None, -1
    for key, entry in entries.items():
        host, path = _place(key)
        if not _same_host(host, target.reference.host) or len(path) <= length:
            continue
        if not path or f"{target.reference.path}/".startswith(f"{path}/"):
            best, length = entry, len(path)
    return best


def _place(key: str) -> tuple[str, str]:
    """A key's host, and the path in it; none where it is for the whole host."""
    host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    path = path.strip("/")
    return host.lower(), "" if path in _WHOLE_HOST else path


def _same_host(host: str, wanted: str) -> bool:
    return host == wanted or (wanted == "docker.io" and host in _HUB)
