"""What an image's final files say that Syft does not tell: users, release, package databases."""

from collections.abc import Callable, Iterator

import msgspec

from services.scanner.analysis.tree import File, Found, Tree

PASSWD = "/etc/passwd"
OS_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
"""The first that is there counts, for Syft as for os-release(5)."""

MAX_PASSWD, MAX_OS_RELEASE = 1024**2, 64 * 1024

_RPM_FOLDERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm")
_RPM_FILES = ("Packages", "Packages.db", "rpmdb.sqlite")
_RPM_LOG = "rpmdb.sqlite-wal"
_FILES = {
    "dpkg": ("/var/lib/dpkg/status",),
    "opkg": ("/usr/lib/opkg/status", "/var/lib/opkg/status"),
    "apk": ("/lib/apk/db/installed", "/usr/lib/apk/db/installed"),
    "rpm": (
        *(f"{folder}/{name}" for folder in _RPM_FOLDERS for name in _RPM_FILES),
        "/var/lib/rpmmanifest/container-manifest-2",
    ),
}
_STATUS_D = "/var/lib/dpkg/status.d"
_PACMAN = "/var/lib/pacman/local"


class Database(msgspec.Struct, frozen=True):
    """A file that lists installed packages, by its name without links; `layer` is a diff id."""

    kind: str
    path: str
    layer: str


class Contents(msgspec.Struct, frozen=True):
    """What was found in the layers."""

    passwd: bytes | None
    """None: there is none, or see `passwd_problem`."""
    passwd_problem: str
    os_releases: dict[str, bytes]
    """By their names in OS_RELEASES; a link's is what it leads to."""
    databases: tuple[Database, ...]
    doubts: tuple[str, ...]
    """Sentences: what keeps the package databases from being believed."""


class Wanted(msgspec.Struct, frozen=True):
    """Files whose bytes are needed, and those of which it is enough that they are there."""

    texts: dict[str, Found]
    """By PASSWD and OS_RELEASES."""
    databases: dict[str, tuple[str, File]]
    """Kind and file by path."""
    logs: tuple[str, ...]
    """Files of a database that Syft does not read."""


def wanted(tree: Tree) -> Wanted:
    """What of the final files matters."""
    texts = {path: tree.find(path) for path in (PASSWD, *OS_RELEASES)}
    databases = dict(_databases(tree))
    logs = [tree.find(f"{folder}/{_RPM_LOG}") for folder in _RPM_FOLDERS]
    return Wanted(
        {path: found for path, found in texts.items() if found is not None},
        databases,
        tuple(dict.fromkeys(one.path for one in logs if one and _is_filled(one))),
    )


def read_contents(
    found: Wanted,
    other: Wanted,
    *,
    diff_ids: list[str],
    read: Callable[[list[File]], dict[File, bytes]],
) -> Contents:
    """`other`: the same by the other way to unpack (`Tree`); `read` gives files their bytes."""
    texts = {
        path: one.node
        for path, one in found.texts.items()
        if not _why_unread(path, one) and type(one.node) is File
    }
    bodies = read(list(dict.fromkeys(texts.values())))
    of_releases = [path for path in OS_RELEASES if path in found.texts]
    doubts = [
        f"{path} {why}" for path in of_releases if (why := _why_unread(path, found.texts[path]))
    ]
    doubts += [
        f"{path} is stored as a sparse file, which Syft does not read as nodes do"
        for path, (_, file) in found.databases.items()
        if file.sparse
    ]
    doubts += [f"{path} holds changes of a database that Syft does not read" for path in found.logs]
    doubts += _of_unpacking(found, other)
    return Contents(
        passwd=bodies[texts[PASSWD]] if PASSWD in texts else None,
        passwd_problem=_of_passwd(found, other),
        os_releases={path: bodies[texts[path]] for path in OS_RELEASES if path in texts},
        databases=tuple(
            Database(kind, path, diff_ids[file.layer])
            for path, (kind, file) in found.databases.items()
        ),
        doubts=tuple(doubts),
    )


def _databases(tree: Tree) -> Iterator[tuple[str, tuple[str, File]]]:
    for kind, paths in _FILES.items():
        for path in paths:
            found = tree.find(path)
            if found is not None and _is_filled(found) and type(found.node) is File:
                yield found.path, (kind, found.node)
    for found in tree.listing(_STATUS_D):
        if not found.path.endswith(".md5sums") and _is_filled(found) and type(found.node) is File:
            yield found.path, ("dpkg", found.node)
    for folder in tree.listing(_PACMAN):
        desc = tree.find(f"{folder.path}/desc")
        if desc is not None and type(desc.node) is File:
            yield desc.path, ("alpm", desc.node)


def _is_filled(found: Found) -> bool:
    return type(found.node) is File and found.node.size > 0


def _why_unread(path: str, found: Found) -> str:
    if type(found.node) is not File:
        return "is no file"
    if found.node.sparse:
        return "is stored as a sparse file"
    most = MAX_PASSWD if path == PASSWD else MAX_OS_RELEASE
    return f"is over {most} bytes" if found.node.size > most else ""


def _of_passwd(found: Wanted, other: Wanted) -> str:
    if found.texts.get(PASSWD) != other.texts.get(PASSWD):
        return f"which {PASSWD} a node has depends on how it unpacks layers"
    one = found.texts.get(PASSWD)
    why = _why_unread(PASSWD, one) if one else ""
    return f"{PASSWD} {why}" if why else ""


def _of_unpacking(found: Wanted, other: Wanted) -> Iterator[str]:
    here = {path: one.node for path, one in found.texts.items() if path != PASSWD}
    there = {path: one.node for path, one in other.texts.items() if path != PASSWD}
    if (here, found.databases) != (there, other.databases):
        yield (
            "a layer writes through a link of another layer, so that which package database or "
            "os-release a node has depends on how it unpacks layers"
        )
