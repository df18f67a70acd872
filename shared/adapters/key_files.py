"""Whether the file of a private key is for this process alone (docs/design/signatures.md)."""

import os
import stat
from collections.abc import Collection
from pathlib import Path

import msgspec

from shared.domain.errors import InvalidSettings

ROOT = 0


class Ownership(msgspec.Struct, frozen=True):
    """Of a file: whose it is, and its permission bits."""

    owner: int
    group: int
    mode: int


class Process(msgspec.Struct, frozen=True):
    """As whom a process runs."""

    user: int
    groups: Collection[int]


def check_private(path: Path, found: os.stat_result) -> None:
    """Raises InvalidSettings, with what to do, for a key file that is open to more than us."""
    file = Ownership(found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
    us = Process(os.geteuid(), {os.getegid(), *os.getgroups()})
    if is_private(file, us):
        return
    raise InvalidSettings(
        f"{path} can be read by others (mode {file.mode:04o}, user {file.owner}, group "
        f"{file.group}): whoever has it can sign with it; {_remedy(path, file, us)}"
    )


def is_private(file: Ownership, us: Process) -> bool:
    """Only its owner, or only root and a group of ours that may read and not write.

    The second is how Kubernetes hands a Secret to a process that is not root: owner root, group
    `fsGroup`, mode 0440. Of a file of our own the group is refused: we could close it. So is
    that of another user: who they are to us nobody knows.
    """
    if not file.mode & 0o077:
        return True
    by_group = not file.mode & 0o037
    return by_group and file.owner == ROOT and us.user != ROOT and file.group in us.groups


def _remedy(path: Path, file: Ownership, us: Process) -> str:
    if us.user in (file.owner, ROOT):
        return f"chmod 600 {path}, or make new keys if others may have it"
    if file.owner == ROOT:
        return (
            "give it mode 0440 and a group of this process's own (Kubernetes: the volume's "
            "defaultMode: 0440 and the pod's securityContext.fsGroup), or make new keys if others "
            "may have it"
        )
    return f"chown {us.user} {path} and chmod 600 it, or make new keys if others may have it"
