"""The `imagegate` command: one Typer application, each subcommand in a module of its own."""

from importlib.metadata import version as installed_version

import typer

app = typer.Typer(no_args_is_help=True, help="Decide which container images may run.")


@app.callback()
def imagegate() -> None:
    """Keep `imagegate version` a subcommand while it is the only one."""


@app.command()
def version() -> None:
    """Print the version of the installed imagegate."""
    typer.echo(installed_version("imagegate"))


def main() -> None:
    """Run the command line; the console script `imagegate` calls this."""
    app()


if __name__ == "__main__":
    main()
