"""The one interface that all vulnerability data stands behind.

Implemented by imported OSV records (`matching.osv`) and by Grype with its own database
(`matching.grype`).
"""

from typing import Literal, Protocol

import msgspec

from services.scanner.matching.finding import WrittenMatches
from shared.domain.errors import ImagegateError


class MatchingFailed(ImagegateError):
    """The data could not be asked about an image: what is known of it is nothing, not "clean"."""


class DataGroup(msgspec.Struct, frozen=True):
    """A release, or an ecosystem of packages."""

    name: str
    """In Engine's words: `debian:12`."""
    records: int
    as_of: int | None
    """Up to when it says something (ms since the epoch)."""
    covers: tuple[str, ...] | None = None
    """The only packages that it says anything about; None: all of the release."""
    ended: str = ""
    """The day on which the distributor stopped looking after it, as `2024-06-30`."""


class DataState(msgspec.Struct, frozen=True):
    """Which data there is."""

    identity: str
    """Another one whenever the data is another."""
    source: Literal["osv", "grype"]
    as_of: int | None
    """Up to when it says something; None: there is no data."""
    groups: tuple[DataGroup, ...] = ()
    problem: str = ""
    """Why it cannot be asked, or should not be trusted; empty: all is well."""


class VulnerabilityData(Protocol):
    """What is known about vulnerabilities."""

    async def state(self) -> DataState:
        """What there is at this moment; cheap enough for every check."""

    async def match(self, facts: bytes) -> WrittenMatches:
        """What is known of an image, by its facts (`records.ImageFacts` as JSON).

        Raises MatchingFailed.
        """
