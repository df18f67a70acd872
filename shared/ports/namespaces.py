"""The labels of namespaces, for rules that are about some of them."""

from collections.abc import Mapping
from typing import Protocol

READ_WITHIN = 0.2
"""Seconds that a review waits for a namespace nobody has seen yet (docs/design/behaviour.md 2)."""


class Namespaces(Protocol):
    """What the API server says of namespaces, followed as it changes.

    Nothing here comes from the store: who writes to it must not choose a rule.
    """

    def labels(self, namespace: str) -> Mapping[str, str] | None:
        """At once; None where they are not known, or no longer believed."""

    async def read(self, namespace: str) -> Mapping[str, str] | None:
        """As `labels`, asking the API server once where they are not known; never raises, and
        ends within READ_WITHIN."""

    async def ping(self) -> None:
        """A real question to the API server. Raises ImagegateError."""
