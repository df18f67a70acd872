"""Credentials: dockerconfigjson files, read again when they change.

The format is that of `~/.docker/config.json` and of secrets of type
kubernetes.io/dockerconfigjson: `{"auths": {HOST: {"auth": base64("user:password")}}}`, or
`username` and `password`. A key may have a scheme and a path (docs/design/registry.md,
"Credentials"). No message holds what a file contains.
"""

import base64
import binascii
from pathlib import Path

import msgspec

from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.limits import MAX_CREDENTIAL_FILE_BYTES
from shared.domain.errors import ErrorKind, PermanentFailure

_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_WHOLE_HOST = frozenset({"", "v1", "v2"})
_MAX_FILES = 64


class Credentials:
    """A user and a password; shows neither."""

    def __init__(self, username: str, password: str) -> None:
        self._pair = f"{username}:{password}".encode()

    def __repr__(self) -> str:
        return "Credentials(...)"

    def basic(self) -> str:
        """The Authorization header of HTTP's basic scheme."""
        return f"Basic {base64.b64encode(self._pair).decode()}"


class _Entry(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _File(msgspec.Struct):
    auths: dict[str, _Entry] = {}


_Stamp = tuple[int, int, int]


class CredentialFiles:
    """The files that the rules name."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[_Stamp, _File]] = {}

    def find(self, target: Target) -> Credentials | None:
        """The credentials for a repository; None if its entry of the rules names no file.

        Raises PermanentFailure (unauthorised) when the file that is named cannot be used.
        """
        path = target.rule.credentials
        if not path:
            return None
        entry = _best(self._file(path, target), target)
        if entry is None:
            raise _unusable(target, f"has no entry for {target.reference.host}; add one")
        if entry.username and entry.password:
            return Credentials(entry.username, entry.password)
        if not entry.auth:
            what = "an identity token only" if entry.identitytoken else "no password"
            raise _unusable(
                target,
                f"has {what} for {target.reference.host}; log in with a user and a password",
            )
        try:
            text = base64.b64decode(entry.auth, validate=True).decode()
        except (binascii.Error, ValueError):
            text = ""
        username, colon, password = text.rstrip("\0").partition(":")
        if not colon:
            raise _unusable(
                target,
                f"has an `auth` for {target.reference.host} that is not base64 of user:password",
            )
        return Credentials(username, password)

    def _file(self, path: str, target: Target) -> _File:
        try:
            status = Path(path).stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._read.get(path)
            if known and known[0] == stamp:
                return known[1]
            if status.st_size > MAX_CREDENTIAL_FILE_BYTES:
                raise _unusable(target, f"is larger than {MAX_CREDENTIAL_FILE_BYTES} bytes")
            read = msgspec.json.decode(Path(path).read_bytes(), type=_File)
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise _unusable(target, f"cannot be read: {reason}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _unusable(target, "is not a dockerconfigjson file") from error
        if len(self._read) >= _MAX_FILES:  # reloaded rules may name other files for ever
            self._read.clear()
        self._read[path] = (stamp, read)
        return read


def _best(file: _File, target: Target) -> _Entry | None:
    """The entry of the host with the longest path that the repository is under."""
    best, length = None, -1
    for key, entry in file.auths.items():
        host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
        path = path.strip("/")
        path = "" if path in _WHOLE_HOST else path
        if not _same_host(host.lower(), target.reference.host) or len(path) <= length:
            continue
        if not path or f"{target.reference.path}/".startswith(f"{path}/"):
            best, length = entry, len(path)
    return best


def _same_host(host: str, wanted: str) -> bool:
    return host == wanted or (wanted == "docker.io" and host in _HUB)


def _unusable(target: Target, reason: str) -> PermanentFailure:
    return PermanentFailure(
        f"{target.name}: the credentials file {target.rule.credentials} {reason}",
        kind=ErrorKind.UNAUTHORISED,
    )
