"""Rows that both of Anchore's APIs list alike: packages, vulnerabilities, groups of data."""

from collections.abc import Iterable
from typing import Any

import msgspec

from shared.adapters.anchore.reading import moment, objects
from shared.domain.image_report import (
    Coverage,
    DataGroup,
    ImagePackage,
    Severity,
    Vulnerability,
)

NONE = ("", "None", "N/A")
"""How Anchore writes in a text that there is none."""


class _Scores(msgspec.Struct):
    base_score: float | None = None


class _Scored(msgspec.Struct):
    cvss_v3: _Scores | None = None
    cvss_v2: _Scores | None = None


class VulnerabilityRow(msgspec.Struct):
    """An entry of `vulnerabilities`."""

    vuln: str
    package_name: str | None = None
    package_version: str | None = None
    package_type: str | None = None
    severity: str | None = None
    fix: str | None = None
    will_not_fix: bool | None = None
    url: str | None = None
    feed_group: str | None = None
    nvd_data: list[_Scored] | None = None
    vendor_data: list[_Scored] | None = None


class PackageRow(
    msgspec.Struct, rename={"maven": "maven-version", "written": "implementation-version"}
):
    """An entry of `content`; archives of Java name their version in other ways, too."""

    package: str
    version: str | None = None
    type: str | None = None
    location: str | None = None
    maven: str | None = None
    written: str | None = None
    maven_version: str | None = None
    implementation_version: str | None = None


class _Uncovered(msgspec.Struct):
    name: str
    type: str = ""
    version: str = ""


class UnknownRow(msgspec.Struct):
    """What the built-in scanner alone tells, beside the vulnerabilities."""

    as_of: str | None = None
    feed_group: str = ""
    unavailable: str = ""
    problem: str = ""
    contradictions: list[str] = []
    packages: list[_Uncovered] = []


def vulnerability_of(row: VulnerabilityRow) -> Vulnerability:
    """A row of both APIs."""
    fixed = row.fix or ""
    return Vulnerability(
        id=row.vuln,
        package=row.package_name or "",
        version=row.package_version or "",
        type=row.package_type or "",
        severity=Severity.named(row.severity or ""),
        fixed=None if fixed in NONE else fixed,
        will_not_fix=row.will_not_fix is True,
        url=row.url or "",
        score=_score([*(row.nvd_data or []), *(row.vendor_data or [])]),
        group=row.feed_group or "",
    )


def package_of(row: PackageRow, *, kind: str) -> ImagePackage:
    """A row of both APIs; `kind`: what it is listed under."""
    versions = (
        row.version,
        row.maven,
        row.maven_version,
        row.written,
        row.implementation_version,
    )
    return ImagePackage(
        name=row.package,
        version=next((one for one in versions if one and one not in NONE), ""),
        type=(row.type or kind).lower(),
        path="" if (row.location or "") in (*NONE, "pkgdb") else row.location or "",
    )


def coverage_of(row: UnknownRow | None) -> Coverage | None:
    """None where the server does not tell."""
    if row is None:
        return None
    return Coverage(
        release=row.feed_group,
        unavailable=row.unavailable,
        problem=row.problem,
        contradictions=tuple(row.contradictions),
        as_of=moment(row.as_of),
        uncovered=tuple(
            ImagePackage(name=one.name, version=one.version, type=one.type.lower())
            for one in row.packages
        ),
    )


def data_groups(body: Any) -> tuple[DataGroup, ...]:
    """The groups of all feeds; one without a time of its own is as old as its feed."""
    return tuple(
        DataGroup(
            name=str(group.get("name") or ""),
            records=count if isinstance(count := group.get("record_count"), int) else 0,
            as_of=_first_moment((group.get("last_sync"), *_times(feed))),
            problem=said if isinstance(said := feed.get("problem"), str) else "",
        )
        for feed in objects(body)
        for group in objects(feed.get("groups"))
    )


def _times(feed: dict[str, Any]) -> tuple[Any, ...]:
    names = ("data_service_built_at", "enterprise_received_at", "last_full_sync")
    return tuple(feed.get(name) for name in names)


def _first_moment(values: Iterable[Any]) -> int | None:
    return next((at for value in values if (at := moment(value)) is not None), None)


def _score(scored: list[_Scored]) -> float | None:
    """The first that CVSS allows, of the third version before the second; Anchore writes -1 where
    it has none."""
    for scores in ([one.cvss_v3 for one in scored], [one.cvss_v2 for one in scored]):
        for found in scores:
            if found and found.base_score is not None and 0 <= found.base_score <= 10:
                return found.base_score
    return None
