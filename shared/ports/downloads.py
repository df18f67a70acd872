"""Large files of others, had whole and checked however often the way breaks."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from shared.domain.errors import ImagegateError

Told = Callable[[int, int | None], None]
"""Bytes that are there, and bytes in all where the server says how many."""


def nobody(_: int, __: int | None) -> None:
    """Nobody is told."""


class DownloadFailed(ImagegateError):
    """It is not there whole. The message says where, why and what to do; what has come so far is
    kept, and the next call goes on from there."""


class Download(msgspec.Struct, frozen=True):
    """A file that is there whole."""

    path: Path
    url: str
    size: int
    etag: str = ""
    """What the server calls this state of it; empty: it does not say."""
    modified: int | None = None
    """When the server's file was made (ms since the epoch); None: it does not say."""
    checked: str = ""
    """The hash that the server sent and the file has, as `md5`; empty: it sent none that we know.
    Its length is always what the server said."""
    new: bool = False
    """Whether it came with this call; else the server has still what we had."""


class Downloads(Protocol):
    """One call a file at a time; whoever may make two sees to that."""

    async def fetch(self, url: str, into: Path, *, max_bytes: int, told: Told = nobody) -> Download:
        """Have what `url` names in the file `into`, which is replaced at once and only by a whole
        one. Nothing is sent again that is there already. Raises DownloadFailed."""
