"""The tags of a repository."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from shared.domain.reference import ImageReference

MAX_TAGS = 20_000
"""Of one repository: more are refused, since somebody would wait for all of them."""


class TagList(Protocol):
    """Asks the registry that the reference names, within the limits of the rules.

    Errors: as `DigestResolver`.
    """

    def tags(self, reference: ImageReference) -> AsyncIterator[Sequence[str]]:
        """All tags of its repository, in pages, each once; what is no tag is left out."""
