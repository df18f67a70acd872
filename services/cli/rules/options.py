"""What of a review its object does not say, as it is typed."""

from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli.command import fail

NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", help="Of an image, and of objects that name none.")
]
UserOption = Annotated[str, typer.Option(help="Who creates it.")]
NamespaceLabelOption = Annotated[
    list[str] | None, typer.Option(help="KEY=VALUE of the namespace; may be repeated.")
]


def labels_of(written: Sequence[str] | None) -> dict[str, str] | None:
    """The labels of `KEY=VALUE` texts; None where none are given."""
    if written is None:
        return None
    labels = {}
    for pair in written:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            fail(f"--namespace-label must be KEY=VALUE, not {pair!r}")
        labels[key] = value
    return labels
