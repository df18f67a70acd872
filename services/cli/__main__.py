"""The `imagegate` command: one Typer application, each subcommand in a module of its own."""

from importlib.metadata import version as installed_version

import typer

from services.cli import dead, keys, looks, processes, review, scan, up
from services.cli.break_glass import commands as break_glass
from services.cli.explain.commands import explain
from services.cli.feeds import commands as feeds
from services.cli.policies import commands as policies
from services.cli.registries import commands as registries
from services.cli.rules import commands as rules
from services.cli.show.real import show_real

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Decide which container images may run.",
)
app.command()(up.up)
app.command()(show_real)
app.command()(processes.webhook)
app.command()(processes.worker)
app.command()(processes.intake)
app.command()(processes.console)
app.command()(processes.scanner)
app.command()(review.review)
app.command()(scan.scan)
app.command()(explain)
app.command()(looks.queue)
app.command()(looks.verdicts)
app.command()(looks.decisions)
app.command()(looks.status)
app.command()(break_glass.allow)
app.add_typer(break_glass.app, name="exceptions")
app.add_typer(dead.app, name="dead")
app.add_typer(feeds.app, name="feeds")
app.add_typer(keys.app, name="keys")
app.add_typer(policies.app, name="policies")
app.add_typer(registries.app, name="registries")
app.add_typer(rules.app, name="rules")


@app.command()
def version() -> None:
    """Print the version of the installed imagegate."""
    typer.echo(installed_version("imagegate"))


def main() -> None:
    """Run the command line; the console script `imagegate` calls this."""
    app()


if __name__ == "__main__":
    main()
