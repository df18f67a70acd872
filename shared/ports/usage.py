"""What is used: which images were looked up lately, and by which question.

In use = looked up within USED_FOR (docs/design/behaviour.md 2). Written in batches, off the
answer's path; losing some costs a refresh, nothing else, and nothing is decided by it.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from shared.domain.verdict import Question

USED_FOR = 7 * 24 * 3600 * 1000
"""Milliseconds."""

MAX_USES = 100_000
"""Uses that are remembered; above it the ones go that were not used for longest."""

MAX_USE = 4 * 1024
"""Bytes that one use may take; a longer one is not remembered."""


class Use(msgspec.Struct, frozen=True):
    """An image as pods name it (normalised, as `ImageReference` writes it), and what is asked."""

    reference: str
    question: Question


class Used(msgspec.Struct, frozen=True):
    """A use, and when it was last one (ms, on the store's clock)."""

    use: Use
    at: int


class Usage(Protocol):
    """Guarantees: a use recorded twice is remembered once, with the later time; times ahead of the
    store's clock count as its now; bounded by MAX_USES; what is older than USED_FOR is forgotten.

    Errors: StoreError.
    """

    async def record(self, uses: Mapping[Use, int]) -> None:
        """Remember when (ms) each was last used."""

    async def recent(self, *, limit: int, before: Used | None = None) -> list[Used]:
        """The most recently used first, at most `limit`; `before`: those that come after it in
        that order. What cannot be read is left out."""

    async def count(self) -> int:
        """How many are in use."""
