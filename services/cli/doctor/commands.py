"""`imagegate doctor`: is this installation as it should be, and if not, what is to be done?"""

from typing import Annotated

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from services.cli.command import Exit, OutputOption, console, run, settings
from services.cli.doctor.checkup import checkup
from services.cli.doctor.ours import worst
from services.cli.doctor.remarks import Level, Remark
from services.cli.doctor.wiring import asked_of
from services.cli.kubernetes.options import ContextOption, KubeconfigOption
from services.cli.tables import Output, plain, print_json

STYLES = {
    Level.BAD: "bold red",
    Level.WARN: "yellow",
    Level.UNASKED: "magenta",
    Level.NOTE: "",
    Level.GOOD: "green",
}

LONGEST = 1_000


def doctor(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where a pod is tried, as a dry run.")
    ] = "default",
    output: OutputOption = Output.TABLE,
) -> None:
    """Check an installation: webhook configurations, certificates, exempt namespaces and who may
    create pods there, Redis, RabbitMQ, Anchore, rules, clocks, versions; and say what to do. What
    cannot be reached is said. Exit code 0 nothing is bad, 1 something is, 2 error."""

    async def look() -> Exit:
        asking = asked_of(settings(), kubeconfig=kubeconfig, context=context, namespace=namespace)
        async with asking as asked:
            remarks = [remark async for remark in checkup(asked)]
        if output is Output.JSON:
            print_json(console(), {"version": 1, "remarks": remarks})
        else:
            print_remarks(console(), remarks)
        return Exit.BAD if worst(remarks) is Level.BAD else Exit.GOOD

    run(look())


def print_remarks(to: Console, remarks: list[Remark]) -> None:
    """One line each, below it what to do; then how many of each kind."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for remark in remarks:
        lines = [plain(remark.said, limit=LONGEST)]
        if remark.todo:
            lines.append(plain(f"-> {remark.todo}", limit=LONGEST, style="dim"))
        level = Text(str(remark.level), style=STYLES[remark.level])
        table.add_row(level, plain(remark.part), Group(*lines))
    to.print(table)
    counts = [(level, sum(each.level is level for each in remarks)) for level in Level]
    to.print(Text(", ".join(f"{count} {level}" for level, count in counts if count)))
