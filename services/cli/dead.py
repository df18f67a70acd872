"""`imagegate dead`: what no attempt could settle, and what is to become of it."""

import sys
from typing import Annotated

import typer

from services.cli.backend import open_letters, open_ops
from services.cli.command import Exit, OutputOption, console, fail, result_of, run, settings
from services.cli.ending import Order, end, full_id, meant
from services.cli.letter_tables import print_ended, print_letter, print_letters
from services.cli.tables import Output, print_json
from services.console.view import DeadReport, DeadRow
from shared.ports.steps import MAX_DEAD

app = typer.Typer(no_args_is_help=True, help="Dead letters: steps that no attempt could settle.")

IdsArgument = Annotated[
    list[str] | None, typer.Argument(help="Ids, or beginnings of ids, as `dead list` shows them.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All of them.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether --all is meant.")]


@app.command("list")
def list_letters(
    *,
    output: OutputOption = Output.TABLE,
    limit: Annotated[
        int, typer.Option(min=1, max=MAX_DEAD, help="How many; a console tells 1000 at most.")
    ] = 100,
) -> None:
    """The dead letters, the oldest first: where they died, and why they had failed."""
    report = result_of(_listed(limit))
    if output is Output.JSON:
        print_json(console(), report)
    else:
        print_letters(console(), report)


@app.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """One dead letter with its history and its message; exit code 1 when it is not there."""
    row = result_of(_shown(letter))
    if row is None:
        fail(
            f"there is no dead letter {letter} (any more): `imagegate dead list` shows them",
            code=Exit.BAD,
        )
    if output is Output.JSON:
        print_json(console(), row)
    else:
        print_letter(console(), row)


@app.command()
def requeue(
    ids: IdsArgument = None,
    *,
    every: AllOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Have dead letters tried again: exit code 0 all done, 1 some were not there, 2 error."""
    _carry_out(Order.REQUEUE, ids, every=every, yes=yes, output=output)


@app.command()
def drop(
    ids: IdsArgument = None,
    *,
    every: AllOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove dead letters for good: exit code 0 all done, 1 some were not there, 2 error."""
    _carry_out(Order.DROP, ids, every=every, yes=yes, output=output)


def _carry_out(
    order: Order, ids: list[str] | None, *, every: bool, yes: bool, output: Output
) -> None:
    if bool(ids) == every:
        fail("name dead letters by their ids, or all of them with --all")
    report = result_of(_meant())
    if every and report.letters and not yes:
        _confirm(order, report)
    run(_end(order, report, None if every else ids, output))


def _confirm(order: Order, report: DeadReport) -> None:
    count = len(report.letters)
    which = f"all {count}" if count == report.total else f"the {count} oldest of {report.total}"
    if not sys.stdin.isatty():
        fail(f"--all would {order} {which} dead letters: say --yes where nobody can be asked")
    if not typer.confirm(f"{order} {which} dead letters?", err=True):
        fail("nothing was done", code=Exit.ERROR)


async def _listed(limit: int) -> DeadReport:
    async with open_ops(settings()) as ops:
        return await ops.dead(limit=limit)


async def _meant() -> DeadReport:
    """From where they can be ended: a console that is named cannot."""
    async with open_letters(settings()) as backend:
        return await backend.ops.dead(limit=MAX_DEAD)


async def _shown(letter: str) -> DeadRow | None:
    async with open_ops(settings()) as ops:
        report = await ops.dead(limit=MAX_DEAD)
        return await ops.dead_letter(full_id(letter, report.letters))


async def _end(order: Order, report: DeadReport, ids: list[str] | None, output: Output) -> Exit:
    letter_ids = meant(report.letters, ids=ids)
    async with open_letters(settings()) as backend:
        ended = await end(backend.letters, order, letter_ids)
    if output is Output.JSON:
        print_json(console(), ended)
    else:
        print_ended(console(), order, ended)
    if ended.failed:
        return Exit.ERROR
    return Exit.BAD if ended.missing else Exit.GOOD
