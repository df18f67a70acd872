"""The process that imports: `python -m services.scanner.feeds.import_process`, an order on its
standard input, what becomes of it a line at a time on its standard output.

Records come from outside and there may be millions of them: reading them takes a core for minutes
and more memory than a server of ours has.
"""

import os
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.state import FeedBusy, FeedError, Imported

BETWEEN = 0.1
"""Seconds between two words about progress."""


class Order(msgspec.Struct, frozen=True):
    """What to import, in the words of `import_records`."""

    folder: str
    sources: tuple[str, ...]
    whole: tuple[str, ...] = ()
    as_of: int | None = None
    leave_out_unreadable: bool = False
    nice: int = 0
    """By how much to be less urgent than who asks."""


class Went(msgspec.Struct, frozen=True, tag="progress"):
    """How far a step is."""

    step: str
    done: int
    total: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The new feed is the one that counts."""

    imported: Imported


class NotDone(msgspec.Struct, frozen=True, tag="failed"):
    """The feed that was there stays."""

    why: Literal["busy", "refused"]
    message: str


Word = Went | Done | NotDone


class _Telling:
    """Progress, not more often than anybody can look."""

    def __init__(self) -> None:
        self._step = ""
        self._last = 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step != self._step or now - self._last >= BETWEEN:
            self._step, self._last = step, now
            _say(Went(step, done, total))


def main() -> int:
    """One import; the exit code tells nothing that the last line does not."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    if order.nice:
        os.nice(order.nice)
    try:
        _say(Done(_imported(order)))
    except FeedError as error:
        _say(NotDone("busy" if isinstance(error, FeedBusy) else "refused", str(error)))
        return 1
    except MemoryError:
        _say(
            NotDone(
                "refused",
                "the import needs more memory than it is allowed: raise "
                "IMAGEGATE_SCANNER_IMPORT_MEMORY, or import fewer files at a time",
            )
        )
        return 1
    return 0


def _imported(order: Order) -> Imported:
    return import_records(
        FeedFolder(Path(order.folder)),
        [Path(source) for source in order.sources],
        whole=order.whole,
        as_of=order.as_of,
        leave_out_unreadable=order.leave_out_unreadable,
        progress=_Telling(),
    )


def _say(word: Word) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
