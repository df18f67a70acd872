"""`imagegate queue`, `imagegate verdicts`, `imagegate decisions`, `imagegate status`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from services.cli.backend import open_ops
from services.cli.command import Exit, OutputOption, console, run, settings
from services.cli.decision_table import print_decisions
from services.cli.tables import Output, print_json, print_queue, print_status, print_verdicts
from services.cli.watch import Watch
from services.console.view import OpsView
from shared.ports.decisions import MAX_DECISIONS

Report = TypeVar("Report")

LimitOption = Annotated[int, typer.Option(min=1, max=10_000, help="Records of each kind.")]


def queue(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Again each second, until Ctrl-C.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """How much stands in each lane, and for how long; what is delayed; dead letters.

    With --watch also the steps a second that workers take; as JSON one document a line.
    """
    if watch:
        run(_watch(output))
    else:
        run(_look(output, lambda ops: ops.queue(), print_queue))


def verdicts(
    image: Annotated[
        str, typer.Argument(help="Only of this: the beginning of a reference or a digest.")
    ] = "",
    *,
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 100,
) -> None:
    """What the store knows of images, the newest first; of one image everything."""
    show = partial(print_verdicts, image=image)
    run(_look(output, lambda ops: ops.verdicts(limit=limit, image=image), show))


def decisions(
    *,
    output: OutputOption = Output.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=MAX_DECISIONS, help="How many.")] = 25,
) -> None:
    """The last answers of all webhooks, the newest first: who asked for what, and why."""
    run(_look(output, lambda ops: ops.decisions(limit=limit), print_decisions))


def status(output: OutputOption = Output.TABLE) -> None:
    """Ask each part for a real answer; exit code 1 when one is down."""

    async def look() -> Exit:
        async with open_ops(settings()) as ops:
            report = await ops.status()
        _print(report, output, print_status)
        return Exit.GOOD if report.ok else Exit.BAD

    run(look())


async def _watch(output: Output) -> None:
    async with open_ops(settings()) as ops:
        watching = Watch(ops=ops)
        # Ctrl-C is how it ends: no error.
        with suppress(asyncio.CancelledError):
            await (watching.lines if output is Output.JSON else watching.tables)(console())


async def _look(
    output: Output,
    ask: Callable[[OpsView], Awaitable[Report]],
    show: Callable[[Console, Report], None],
) -> None:
    async with open_ops(settings()) as ops:
        report = await ask(ops)
    _print(report, output, show)


def _print(report: Report, output: Output, show: Callable[[Console, Report], None]) -> None:
    if output is Output.JSON:
        print_json(console(), report)
    else:
        show(console(), report)
