"""What vulnerability data says of an image: one shape, whatever the data came from.

Kept as JSON beside the image's facts, so that a policy is applied without asking the data again.

An image has hundreds of findings: Python's search for cycles, of which values can have none, looked
at all of them again and again, and cost four times what reading them does (`gc=False`).
"""

from enum import IntEnum

import msgspec

from services.scanner.records import Package


class Severity(IntEnum):
    """Engine's levels, in their order."""

    UNKNOWN = 0
    NEGLIGIBLE = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @classmethod
    def of_score(cls, score: float) -> "Severity":
        """By CVSS v3 base score."""
        levels = ((9.0, cls.CRITICAL), (7.0, cls.HIGH), (4.0, cls.MEDIUM), (0.1, cls.LOW))
        return next((level for least, level in levels if score >= least), cls.NEGLIGIBLE)


class Score(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A CVSS score, 0.0 to 10.0 each."""

    base: float
    vector: str = ""
    exploitability: float | None = None
    impact: float | None = None
    vendor: bool = False
    """The distributor's own, not the one that was published with the CVE."""


class Finding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A vulnerability that an installed package is subject to."""

    id: str
    """What policies and exceptions name: the CVE where there is one, else the advisory."""
    package: Package
    severity: Severity
    """UNKNOWN where the data does not say it."""
    fixed: str | None = None
    """The first version of this release without it; None: there is none."""
    will_not_fix: bool = False
    """The distributor said that it will not be fixed in this release."""
    scores: tuple[Score, ...] = ()
    advisories: tuple[str, ...] = ()
    """Other ids that name it: DSA, RHSA, GHSA."""
    url: str = ""
    group: str = ""
    """The part of the data it is from, in Engine's words: `debian:12`."""
    published: int | None = None
    fix_published: int | None = None
    """ms since the epoch; None: not known."""


class Matches(msgspec.Struct, frozen=True):
    """All that the data says of an image, and what it cannot say."""

    data: str
    """Which data it was, as `VulnerabilityData.state` names it."""
    group: str
    """The image's release, in Engine's words: `debian:12`."""
    as_of: int | None = None
    """Up to when the release's data is (ms since the epoch); None: there is none."""
    unavailable: str = ""
    """Why nothing can be said of the distribution's packages; empty: something can."""
    findings: tuple[Finding, ...] = ()
    uncovered: tuple[Package, ...] = ()
    """Packages whose silence means nothing, in the order of the image's packages."""


class WrittenMatches(msgspec.Struct, frozen=True):
    """`Matches` as a judge wrote them: kept and handed on as they are, since reading hundreds of
    findings only to write them again costs as much as finding them."""

    data: str
    """Which data it was."""
    text: msgspec.Raw
    """JSON."""

    @classmethod
    def of(cls, matches: Matches) -> "WrittenMatches":
        """The way there."""
        return cls(matches.data, msgspec.Raw(msgspec.json.encode(matches)))

    def read(self) -> Matches:
        """The way back. Raises msgspec.MsgspecError."""
        return msgspec.json.decode(self.text, type=Matches)
