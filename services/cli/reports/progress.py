"""How far a scan is, on standard error: a line that is drawn over on a terminal, else a line for
each stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.cli.tables import plain


class Tell(Protocol):
    """Told of the stage that begins."""

    def __call__(self, stage: str) -> None: ...


@contextmanager
def progress(err: Console) -> Iterator[Tell]:
    """Shows stages until the block ends; on a terminal nothing of it stays."""
    if not err.is_terminal:
        yield _lines(err)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as drawn:
        task = drawn.add_task("beginning", total=None)

        def tell(stage: str) -> None:
            drawn.update(task, description=plain(stage).plain)

        yield tell


def _lines(err: Console) -> Tell:
    began, last = time.monotonic(), ""

    def tell(stage: str) -> None:
        nonlocal last
        if stage != last:
            last = stage
            err.print(plain(f"{time.monotonic() - began:7.1f} s  {stage}"), soft_wrap=True)

    return tell
