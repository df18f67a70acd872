"""How the second webhook is named on the command line."""

from pathlib import Path
from typing import Annotated

import typer

DiffOption = Annotated[
    str | None,
    typer.Option(
        "--diff", help="Ask this second webhook (https://HOST/PATH) the same, show what differs."
    ),
]
DiffCaOption = Annotated[
    Path | None, typer.Option(help="The CA file of the second webhook's certificate.")
]
DiffTokenOption = Annotated[
    Path | None, typer.Option(help="A file with the bearer token that it wants.")
]
