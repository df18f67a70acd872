"""Files with secrets, read again when they change. No message holds what a file contains."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.logins import unusable

Kept = TypeVar("Kept")

_MAX_FILES = 64

_Stamp = tuple[int, int, int]


class KeptFiles(Generic[Kept]):
    """Files of one kind: `what` names it in messages, `parse` makes of the bytes what is kept.

    `parse` raises ValueError, whose words follow the file's name: "is empty".
    """

    def __init__(self, *, what: str, limit: int, parse: Callable[[bytes], Kept]) -> None:
        self._what = what
        self._limit = limit
        self._parse = parse
        self._kept: dict[str, tuple[_Stamp, Kept]] = {}

    def read(self, path: str, *, target: Target) -> Kept:
        """What the file holds now. Raises PermanentFailure (unauthorised), for `target`."""
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                known = self._kept.get(path)
                if known and known[0] == stamp:
                    return known[1]
                content = file.read(self._limit + 1)
            if len(content) > self._limit:
                raise ValueError(f"is larger than {self._limit} bytes")
            kept = self._parse(content)
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise unusable(target, f"{self._what} {path} cannot be read: {reason}") from error
        except ValueError as error:
            raise unusable(target, f"{self._what} {path} {error}") from error
        if len(self._kept) >= _MAX_FILES:  # reloaded rules may name other files for ever
            self._kept.clear()
        self._kept[path] = (stamp, kept)
        return kept


def one_text(content: bytes) -> str:
    """A file that holds one text alone, without the newline at its end."""
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not text:
        raise ValueError("is empty")
    if not text.isprintable():
        raise ValueError("holds more than one line, or signs that cannot be printed")
    return text


def one_user(content: bytes) -> str:
    """A file that holds a user's name alone."""
    text = one_text(content)
    if ":" in text:
        raise ValueError("holds a ':', which HTTP takes for the end of a user's name")
    return text
