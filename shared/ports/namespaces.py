"""The labels of namespaces, for rules that are about some of them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

READ_WITHIN = 0.2
"""Seconds that a review waits for a namespace nobody has seen yet (docs/design/behaviour.md 2)."""


class ReadOutcome(StrEnum):
    """What became of the wish to ask for one namespace, for the metric."""

    FOUND = "found"
    UNKNOWN = "unknown"
    """There is no such namespace: it was made up, or is gone."""
    REFUSED = "refused"
    FAILED = "failed"
    OVER_BUDGET = "over_budget"
    """Not asked: too many others were asked for within a moment."""


class WatchEnd(StrEnum):
    """Why a watch ended, or could not begin, for the metric."""

    DONE = "done"
    """In its time, and the next one goes on where it ended."""
    GONE = "gone"
    """What had changed since is not kept any more: all are listed again."""
    SILENT = "silent"
    """It said nothing, or did not end in its time."""
    LOST = "lost"
    REFUSED = "refused"


class Followed(msgspec.Struct, frozen=True):
    """How well the namespaces are known."""

    known: int
    """Namespaces whose labels are believed without a question."""
    age: float
    """Seconds since the API server last said that nothing else had changed; where it never said
    anything, since it is asked: who is refused from the start must not look like who asks nobody.
    """


class Namespaces(Protocol):
    """What the API server says of namespaces, followed as it changes.

    Nothing here comes from the store: who writes to it must not choose a rule.
    """

    def labels(self, namespace: str) -> Mapping[str, str] | None:
        """At once; None where they are not known, or no longer believed."""

    async def read(self, namespace: str) -> Mapping[str, str] | None:
        """As `labels`, asking the API server once where they are not known; never raises, and
        ends within READ_WITHIN."""

    async def follow(self) -> None:
        """Follow all namespaces until cancelled; at other times only those that were read are
        known. What was followed is forgotten at the end."""

    async def ping(self) -> None:
        """A real question to the API server. Raises ImagegateError."""

    def check(self) -> None:
        """Raises InvalidSettings where it can never be asked: what must be there to ask is not.
        Asks nobody."""
