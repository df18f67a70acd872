"""Sealed exceptions in a folder: what counts without any store (docs/design/signatures.md)."""

import asyncio
import heapq
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from shared.adapters.watching import EVERY, changes_in
from shared.domain.errors import InvalidSettings
from shared.ports.exceptions import MAX_EXCEPTIONS, MAX_SEALED, Folder

SUFFIX = ".exception"


class ExceptionFolder:
    """`shared.ports.exceptions.ExceptionFiles`; raises InvalidSettings where there is no folder."""

    def __init__(self, folder: Path, *, every: float = EVERY) -> None:
        if not folder.is_dir():
            raise InvalidSettings(
                f"IMAGEGATE_EXCEPTIONS: {folder} is no folder: make it, or unset the variable"
            )
        self._folder = folder
        self._every = every

    async def read(self) -> Folder:
        return await asyncio.to_thread(_read_folder, self._folder)

    def changes(self) -> AsyncIterator[None]:
        return changes_in(self._folder, every=self._every)


def _read_folder(folder: Path) -> Folder:
    sealed: dict[str, bytes] = {}
    unread: dict[str, str] = {}
    try:
        names = _names(folder)
    except OSError as error:
        return Folder(unread={str(folder): _reason(error)})
    if len(names) > MAX_EXCEPTIONS:
        unread[str(folder)] = (
            f"holds more than {MAX_EXCEPTIONS} files *{SUFFIX}: those after "
            f"{names[MAX_EXCEPTIONS - 1]} are not read, remove such as have ended"
        )
    for name in names[:MAX_EXCEPTIONS]:
        try:
            sealed[name] = _read_file(folder / name)
        except OSError as error:
            unread[name] = _reason(error)
        except ValueError as error:
            unread[name] = str(error)
    return Folder(sealed, unread)


def _names(folder: Path) -> list[str]:
    """The first in their order, and one more if there are more than are taken."""
    with os.scandir(folder) as entries:
        fitting = (entry.name for entry in entries if entry.name.endswith(SUFFIX))
        return heapq.nsmallest(MAX_EXCEPTIONS + 1, fitting)


def _read_file(path: Path) -> bytes:
    """Its line; raises OSError, and ValueError for what holds no sealed exception."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is no regular file")
        line = file.read(MAX_SEALED + 3).rstrip(b"\r\n")
    if len(line) > MAX_SEALED:
        raise ValueError(f"is larger than {MAX_SEALED} bytes, as no sealed exception is")
    if not line or b"\n" in line:
        raise ValueError("must hold one line, a sealed exception as `imagegate allow --out` writes")
    return line


def _without_waiting(path: str, flags: int) -> int:
    """A pipe keeps whoever opens it waiting until somebody writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()
