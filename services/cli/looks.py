"""`imagegate queue`, `imagegate verdicts`, `imagegate decisions`, `imagegate status`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from services.cli.backend import open_ops, open_records
from services.cli.beside.comparing import asked_once, compare_records
from services.cli.beside.options import DiffCaOption, DiffOption, DiffTokenOption
from services.cli.beside.second import second_webhook
from services.cli.beside.table import print_compared
from services.cli.break_glass.durations import lifetime
from services.cli.command import Exit, OutputOption, console, fail, run, settings
from services.cli.decision_table import print_decisions
from services.cli.settings import CliSettings
from services.cli.tables import Output, print_json, print_queue, print_status, print_verdicts
from services.cli.watch import Watch
from services.console.rows import VerdictRow
from services.console.view import RecordsView
from shared.domain.errors import InvalidException
from shared.ports.decisions import MAX_DECISIONS, StoredDecision

Report = TypeVar("Report")
View = TypeVar("View")

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
        run(_look(open_ops, output, lambda ops: ops.queue(), print_queue))


def verdicts(
    image: Annotated[
        str, typer.Argument(help="Only of this: the beginning of a reference or a digest.")
    ] = "",
    *,
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 100,
) -> None:
    """What the store knows of images, the newest first; of one image everything."""

    def ask(records: RecordsView) -> Awaitable[tuple[VerdictRow, ...]]:
        return records.verdicts(limit=limit, image=image)

    run(_look(open_records, output, ask, partial(print_verdicts, image=image)))


def decisions(
    *,
    output: OutputOption = Output.TABLE,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_DECISIONS,
            help="How many (default: 25; with --since or --diff all that there are).",
        ),
    ] = None,
    since: Annotated[str, typer.Option(help="Only those of so long, such as 2h or 1d.")] = "",
    diff: DiffOption = None,
    diff_ca: DiffCaOption = None,
    diff_token_file: DiffTokenOption = None,
) -> None:
    """The last answers of all webhooks, the newest first: who asked for what, and why.

    With --diff what a second webhook says of the same, as dry runs; modes do not count: an image
    that mode audit let in though it failed is one that we refuse. Exit code 0 nothing differs, 1
    something does, 2 error."""
    from_when = _moments_ago(since)
    if diff is None:

        async def ask(records: RecordsView) -> tuple[StoredDecision, ...]:
            stored = await records.decisions(limit=limit or (MAX_DECISIONS if since else 25))
            return tuple(one for one in stored if one.decision.at >= from_when)

        run(_look(open_records, output, ask, partial(print_decisions, since=since)))
        return

    async def compared() -> Exit:
        async with second_webhook(diff, ca=diff_ca, token=diff_token_file) as second:
            async with open_records(settings()) as records:
                stored = await records.decisions(limit=limit or MAX_DECISIONS)
            asked = asked_once([one.decision for one in stored], since=from_when)
            found = await compare_records(asked, second)
        return print_compared(console(), found, output=output, made_up=True)

    run(compared())


def _moments_ago(since: str) -> int:
    """In milliseconds; 0 for ever."""
    if not since:
        return 0
    try:
        return int(time.time() * 1000) - lifetime(since)
    except InvalidException as error:
        fail(f"--since: {error.what}")


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
    opened: Callable[[CliSettings], AbstractAsyncContextManager[View]],
    output: Output,
    ask: Callable[[View], Awaitable[Report]],
    show: Callable[[Console, Report], None],
) -> None:
    async with opened(settings()) as view:
        report = await ask(view)
    _print(report, output, show)


def _print(report: Report, output: Output, show: Callable[[Console, Report], None]) -> None:
    if output is Output.JSON:
        print_json(console(), report)
    else:
        show(console(), report)
