"""Labels as they are typed."""

from collections.abc import Sequence

from services.cli.command import fail


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
