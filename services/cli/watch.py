"""`imagegate queue --watch`: the queue each second, until Ctrl-C; a moment of trouble is shown."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live

from services.cli.tables import plain, queue_lines
from services.console.asking import heard
from services.console.rates import Rates
from services.console.view import OpsView, QueueReport
from shared.domain.errors import ImagegateError
from shared.domain.step import Lane

EVERY = 1.0
"""Seconds between two looks."""

Draw = Callable[[RenderableType], None]


class Seen(msgspec.Struct, frozen=True):
    """One look."""

    report: QueueReport
    rates: Mapping[Lane, float | None]
    """Steps handed to workers a second; empty while the processes are not known."""


class Watch:
    """Looks again and again; never ends because somebody did not answer."""

    def __init__(self, *, ops: OpsView, every: float = EVERY) -> None:
        self._ops = ops
        self._every = every
        self._rates = Rates()

    async def lines(self, out: Console) -> None:
        """One JSON document a line: the report, or `{"error": ...}`. Until cancelled."""
        while True:
            seen = await self._look()
            content = {"error": seen} if isinstance(seen, str) else seen.report
            out.out(msgspec.json.encode(content).decode(), highlight=False)
            out.file.flush()
            await asyncio.sleep(self._every)

    async def tables(self, out: Console) -> None:
        """A table that is drawn over the one before, on a terminal. Until cancelled."""
        last: Seen | None = None
        with _drawing(out) as draw:
            while True:
                seen = await self._look()
                trouble = seen if isinstance(seen, str) else ""
                last = last if isinstance(seen, str) else seen
                draw(_picture(last, trouble=trouble))
                await asyncio.sleep(self._every)

    async def _look(self) -> Seen | str:
        """What is seen, or why nothing."""
        report, alive = await asyncio.gather(heard(self._ops.queue), heard(self._ops.processes))
        if isinstance(report, ImagegateError):
            return str(report)
        # Without the store there are depths all the same.
        if isinstance(alive, ImagegateError):
            return Seen(report, {})
        return Seen(report, self._rates.seen(alive, at=time.monotonic()))


@contextmanager
def _drawing(out: Console) -> Iterator[Draw]:
    """Over the picture before on a terminal; elsewhere one below the other."""
    if not out.is_terminal:
        yield out.print
        return
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as live:
        yield lambda picture: live.update(picture, refresh=True)


def _picture(last: Seen | None, *, trouble: str) -> RenderableType:
    """The last report, and above it that it is not of this moment."""
    told = queue_lines(last.report, rates=last.rates) if last else []
    if trouble:
        told.insert(0, plain(f"no answer: {trouble}", style="red"))
    return Group(*told)
