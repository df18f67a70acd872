"""How far it is, on standard error: a bar at a terminal, else a line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from services.cli.prewarm.judging import Progress
from services.cli.prewarm.rows import Outcome
from services.cli.tables import plain

BETWEEN = 10.0
"""Seconds between two lines."""


class Shown(Protocol):
    """Told how far it is."""

    def reading(self, what: str) -> None:
        """Of sources: what was found so far."""

    def judged(self, progress: Progress) -> None:
        """Of images."""


@contextmanager
def shown(err: Console) -> Iterator[Shown]:
    """Nothing of a bar stays at the end."""
    if not err.is_terminal:
        yield _Lines(err)
        return
    with Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[far]}", markup=False),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as bar:
        yield _Bar(bar)


class _Bar:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("reading", total=None, far="")

    def reading(self, what: str) -> None:
        self._bar.update(self._task, far=plain(what).plain)

    def judged(self, progress: Progress) -> None:
        self._bar.update(
            self._task,
            description="judging",
            completed=progress.done.total(),
            total=progress.images,
            far=plain(_far(progress), limit=120).plain,
        )


class _Lines:
    def __init__(self, err: Console) -> None:
        self._err = err
        self._last = time.monotonic()
        self._said = ""

    def reading(self, what: str) -> None:
        self._maybe(f"reading: {what}")

    def judged(self, progress: Progress) -> None:
        self._maybe(f"{progress.done.total()} of {progress.images} images, {_far(progress)}")

    def _maybe(self, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= BETWEEN and line != self._said:
            self._last, self._said = now, line
            self._err.print(plain(line, limit=1000), soft_wrap=True)


def _far(progress: Progress) -> str:
    done = progress.done
    words = [f"{done[Outcome.FAIL]} fail"]
    words += [f"{done[Outcome.ERROR]} error"] if done[Outcome.ERROR] else []
    words += [f"{progress.under_way} under way"] if progress.under_way else []
    words += [progress.trouble] if progress.trouble else []
    return ", ".join(words)
