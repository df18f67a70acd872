"""How far a sync or an import is: bars at a terminal, else a line at each step."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from services.cli.feeds.wording import megabytes, number, outcome
from services.cli.tables import plain
from services.scanner.feeds.syncing import Synced, Watching

STEPS = {"read": "reads records", "build": "builds the feed", "check": "checks the feed"}
BETWEEN = 10.0
"""Seconds between two lines about one step."""


class Lines(Watching):
    """For a pipe, a file, a log: nothing is drawn over."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._doing = ("", "")
        self._last = 0.0

    def downloading(self, ecosystem: str, had: int, of: int | None) -> None:
        """See `Watching`."""
        self._maybe(ecosystem, "downloads", _far(had, of, megabytes))

    def importing(self, ecosystem: str, step: str, done: int, total: int) -> None:
        """See `Watching`."""
        self._maybe(ecosystem, STEPS.get(step, step), _far(done, total or None, number))

    def over(self, synced: Synced) -> None:
        """See `Watching`."""
        self._say(f"{synced.ecosystem}: {outcome(synced)}")
        self._doing = ("", "")

    def _maybe(self, name: str, doing: str, far: str) -> None:
        now = time.monotonic()
        if (name, doing) != self._doing or now - self._last >= BETWEEN:
            self._doing, self._last = (name, doing), now
            self._say(f"{name}: {doing}, {far}")


class Bars(Watching):
    """For a terminal: one bar, of what goes on now; what is over stays above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._doing = ("", "")
        self._task: TaskID | None = None

    def downloading(self, ecosystem: str, had: int, of: int | None) -> None:
        """See `Watching`."""
        self._show((ecosystem, "downloads"), had, of, _far(had, of, megabytes))

    def importing(self, ecosystem: str, step: str, done: int, total: int) -> None:
        """See `Watching`."""
        of = total or None
        self._show((ecosystem, STEPS.get(step, step)), done, of, _far(done, of, number))

    def over(self, synced: Synced) -> None:
        """See `Watching`."""
        self._clear()
        style = "red" if synced.outcome == "failed" else ""
        text = plain(f"{synced.ecosystem}: {outcome(synced)}", style=style, limit=1000)
        self._progress.console.print(text, soft_wrap=True)

    def _show(self, doing: tuple[str, str], done: int, total: int | None, far: str) -> None:
        if doing != self._doing or self._task is None:
            self._clear()
            self._doing = doing
            self._task = self._progress.add_task(" ".join(doing), total=total, far=far)
        self._progress.update(self._task, completed=done, total=total, far=far)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = None
        self._doing = ("", "")


@contextmanager
def watching(console: Console) -> Iterator[Watching]:
    """Bars where `console` (standard error) is a terminal, else lines."""
    if not console.is_terminal:
        yield Lines(lambda text: console.print(plain(text, limit=1000), soft_wrap=True))
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[far]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        yield Bars(progress)


def _far(done: int, of: int | None, show: Callable[[int], str]) -> str:
    return show(done) if of is None else f"{show(done)} of {show(of)}"
