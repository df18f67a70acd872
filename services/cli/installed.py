"""`imagegate version`."""

from importlib.metadata import version as installed_version

import typer


def version() -> None:
    """Print the version of the installed imagegate."""
    typer.echo(installed_version("imagegate"))
