"""Reads beside a verdict what the scanner found in its manifests."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import msgspec

from services.cli.reports.gaps import gaps_of, group_of
from services.cli.reports.report import ImageReport, findings_of, worst_first
from shared.domain.errors import StepFailure
from shared.domain.verdict import Verdict
from shared.ports.reports import ImageReports

Read = TypeVar("Read")


async def read_image(
    reports: ImageReports, digest: str, *, account: str = "", now: int
) -> ImageReport:
    """What the scanner has of one manifest; never fails: what cannot be read is a gap."""
    gaps: list[str] = []

    async def told(what: str, question: Awaitable[Read]) -> Read | None:
        try:
            return await question
        except StepFailure as error:
            gaps.append(f"{what} could not be read: {error}")
            return None

    about, packages, vulnerabilities, groups = await asyncio.gather(
        told("what the image is", reports.about(digest, account=account)),
        told("its packages", reports.packages(digest, account=account)),
        told("its vulnerabilities", reports.vulnerabilities(digest, account=account)),
        told("the age of the vulnerability data", reports.data()),
    )
    found = None if vulnerabilities is None else worst_first(vulnerabilities.found)
    coverage = vulnerabilities.coverage if vulnerabilities else None
    return ImageReport(
        digest=digest,
        about=about,
        packages=packages,
        vulnerabilities=found,
        coverage=coverage,
        data=group_of(about.release, groups) if about else None,
        gaps=(*gaps, *gaps_of(about, packages, found, coverage, groups, now=now)),
    )


def judged(image: ImageReport, verdicts: Sequence[Verdict]) -> ImageReport:
    """With what the policies found in it."""
    dropped = sum(one.findings_dropped for one in verdicts if one.subject.digest == image.digest)
    left_out = (f"{dropped} more findings of the policy are left out",) if dropped else ()
    return msgspec.structs.replace(
        image, findings=findings_of(verdicts, image.digest), gaps=(*image.gaps, *left_out)
    )
