"""Which cluster a command is about, as it is typed: the same for each that asks one."""

from pathlib import Path
from typing import Annotated

import typer

KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        help="The kubeconfig to use (default: KUBECONFIG, ~/.kube/config, the own pod's)."
    ),
]
ContextOption = Annotated[
    str, typer.Option(help="Which of its contexts (default: the current one).")
]
