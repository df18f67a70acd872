"""`imagegate keys`: the signing keys of workers and operators."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.command import console, fail
from services.cli.local.wiring import make_keys
from services.cli.tables import plain
from shared.domain.errors import InvalidSettings
from shared.domain.signing import Role

app = typer.Typer(no_args_is_help=True, help="Keys that sign verdicts and exceptions.")


@app.callback()
def keys() -> None:
    """Keep `imagegate keys new` a subcommand of its own."""


@app.command()
def new(
    out: Annotated[Path, typer.Option("--out", help="The folder to write them into.")],
    role: Annotated[Role, typer.Option(help="Whose key it is.")] = Role.WORKER,
) -> None:
    """Make a key pair; a key that is there already is never overwritten."""
    try:
        made = make_keys(out, role=role)
    except InvalidSettings as error:
        fail(str(error))
    printed = console()
    printed.print(plain(f"private: {made.private} (keep it where the {role}s are)"))
    printed.print(plain(f"public:  {made.public} (give it to whoever verifies)"))
    printed.print(plain(f"key id:  {made.key_id}"))
