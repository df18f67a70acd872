"""What every command shares: one console, one way to fail, exit codes."""

import asyncio
import shutil
import sys
from collections.abc import Coroutine
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from services.cli.settings import CliSettings
from services.cli.tables import Output
from shared.domain.errors import ImagegateError
from shared.runtime.logging import configure_logging, one_line
from shared.runtime.settings import read_settings

Result = TypeVar("Result")

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print it.")]

FALLBACK_WIDTH = 140
"""Columns where neither a terminal nor COLUMNS tells: a file or a pipe."""


class Exit(IntEnum):
    """Exit codes of the commands that decide something."""

    GOOD = 0
    BAD = 1
    ERROR = 2


def console() -> Console:
    """Standard output, as wide as the terminal or COLUMNS says."""
    return Console(width=None if sys.stdout.isatty() else _width())


def error_console() -> Console:
    """Standard error, likewise: for what is said beside an output that is a file."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else _width())


def _width() -> int:
    return shutil.get_terminal_size((FALLBACK_WIDTH, 25)).columns


def settings() -> CliSettings:
    """From the environment; raises InvalidSettings."""
    return read_settings(CliSettings)


def run(work: Coroutine[Any, Any, Exit | None]) -> None:
    """Run a command to its exit code; an error of ours is one line on standard error."""
    code = result_of(work)
    if code:
        raise typer.Exit(int(code))


def result_of(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns; an error of ours ends the command in one line on standard error."""
    # What an adapter warns of, the command says itself.
    configure_logging(style="console", level="ERROR")
    try:
        return asyncio.run(work)
    except ImagegateError as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def own_name() -> str:
    """What to type to run this very command again: PATH need not have it."""
    script = Path(sys.executable).with_name("imagegate")
    if not script.exists():
        return "imagegate"
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def fail(message: str, *, code: Exit = Exit.ERROR) -> NoReturn:
    """Say `message` on standard error and end with `code`."""
    Console(stderr=True).print(Text(f"error: {one_line(message)}", style="red"), soft_wrap=True)
    raise typer.Exit(int(code))
