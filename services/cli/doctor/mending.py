"""Words that every remark on the webhook configurations has."""

from collections.abc import Sequence

PART = "webhook configuration"

AGAIN = "install it again: helm upgrade, or the manifests of k8s/examples"

SHOWN = 8
"""Namespaces in one line; the others are counted."""


def shown(names: Sequence[str]) -> str:
    """In one line; what is too much is counted."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
