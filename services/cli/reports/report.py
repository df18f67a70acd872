"""A scan's report: the verdict, and beside it what the scanner found in each manifest.

The verdict counts. What could not be read beside it is said (`gaps`) and changes nothing of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from shared.domain.image_report import (
    Coverage,
    DataGroup,
    ImageAbout,
    ImagePackage,
    Severity,
    Vulnerability,
)
from shared.domain.verdict import Action, Finding, Outcome, Verdict


class ImageReport(msgspec.Struct, frozen=True):
    """What the scanner has of one manifest; None: it could not be read, and `gaps` says why."""

    digest: str
    about: ImageAbout | None = None
    packages: tuple[ImagePackage, ...] | None = None
    vulnerabilities: tuple[Vulnerability, ...] | None = None
    """The worst first."""
    coverage: Coverage | None = None
    data: DataGroup | None = None
    """The vulnerability data about its release; None: there is none, or nobody says."""
    findings: tuple[Finding, ...] = ()
    """Of the policies, the severest first."""
    gaps: tuple[str, ...] = ()
    """What is not known of it, each a sentence."""


class ScanReport(msgspec.Struct, frozen=True):
    """All of one scan."""

    image: str
    """As it was asked for, normalised."""
    outcome: Outcome
    """The last word; a CI goes by it."""
    message: str
    """Why it could not be judged, or is refused without a finding; else empty."""
    policies: tuple[str, ...]
    """The ids of those that judged."""
    images: tuple[ImageReport, ...]
    at: int
    """When it was made (ms since the epoch)."""
    dockerfile: str = ""
    """Where the Dockerfile is that was given to the scanner."""


def worst_first(found: Iterable[Vulnerability]) -> tuple[Vulnerability, ...]:
    """By severity, then those with a fix, then by name: the same data in the same order."""
    return tuple(
        sorted(
            found,
            key=lambda one: (
                one.severity.rank,
                one.fixed is None,
                one.package,
                one.id,
                one.version,
            ),
        )
    )


def by_severity(found: Iterable[Vulnerability]) -> Mapping[Severity, int]:
    """How many there are of each severity, the worst first; those without any left out."""
    counted = Counter(one.severity for one in found)
    return {severity: counted[severity] for severity in Severity if counted[severity]}


def by_type(packages: Iterable[ImagePackage]) -> Mapping[str, int]:
    """How many packages there are of each type, most first."""
    return dict(Counter(one.type for one in packages).most_common())


def findings_of(verdicts: Iterable[Verdict], digest: str) -> tuple[Finding, ...]:
    """What the policies found in a manifest; what several of them found stands once."""
    found = [
        finding for one in verdicts if one.subject.digest == digest for finding in one.findings
    ]
    order = list(Action)
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: order.index(finding.action)))
