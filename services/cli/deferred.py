"""Commands that are imported when somebody wants them: a webhook that starts needs none of the
others, and everything together takes most of a second."""

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


class Deferred(UserDict[str, Any]):
    """Commands by name; kept is where each is, `MODULE:NAME` of a function or of a Typer."""

    def __getitem__(self, name: str) -> Any:
        """The command as Typer makes it; KeyError where there is none of that name."""
        module, _, attribute = super().__getitem__(name).partition(":")
        found = getattr(import_module(module), attribute)
        only = typer.Typer(add_completion=False)
        if isinstance(found, typer.Typer):
            only.add_typer(found, name=name)
        else:
            only.command(name)(found)
        return get_group(only).commands[name]


def group_of(commands: dict[str, str]) -> type[TyperGroup]:
    """What a Typer is to be told (`cls`), so that these are its commands."""

    class Group(TyperGroup):
        def __init__(self, **told: Any) -> None:
            super().__init__(**told)
            self.commands = Deferred(commands)

    return Group
