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
    return None if written is None else pairs_of(written, "--namespace-label KEY=VALUE")


def pairs_of(written: Sequence[str] | None, option: str) -> dict[str, str]:
    """What stands before and behind the `=` of each; `option`: as it is to be typed."""
    name, _, form = option.partition(" ")
    pairs = {}
    for pair in written or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            fail(f"{name} must be {form}, not {pair!r}")
        pairs[key] = value
    return pairs
