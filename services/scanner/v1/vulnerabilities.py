"""GET /v1/images/{digest}/vuln/{type}: findings, in Engine's shape, and what is not known."""

from typing import Any

from services.scanner.looking import Known
from services.scanner.matching.finding import Finding, Score, Severity
from services.scanner.records import OS_PACKAGES, Package
from services.scanner.v1.package_types import ALL, NON_OS, OS, of_kind, package_type
from services.scanner.v1.refusals import Refusal
from services.scanner.v1.timestamps import timestamp

VULNERABILITY_TYPES = (OS, NON_OS, ALL)

UNKNOWN = "imagegate_unknown"
"""Our own key beside Engine's: its clients ignore it."""

_NO_SCORE = -1.0
"""What Engine writes for a score that it does not know."""


def vulnerability_answer(kind: str, known: Known) -> dict[str, Any]:
    """Raises Refusal (404) for another type."""
    if kind not in VULNERABILITY_TYPES:
        raise Refusal(404, f"content type ({kind}) not available")
    asked = [
        one
        for one in known.matches.findings
        if kind == ALL or (one.package.type in OS_PACKAGES) == (kind == OS)
    ]
    return {
        "imageDigest": known.image.digest,
        "vulnerabilities": [_vulnerability(one) for one in asked],
        "vulnerability_type": kind,
        UNKNOWN: _unknown(kind, known, asked),
    }


def _vulnerability(found: Finding) -> dict[str, Any]:
    package = found.package
    return {
        "feed": "vulnerabilities",
        "feed_group": found.group,
        "fix": found.fixed or "None",
        "nvd_data": [_scores(found.id, one) for one in found.scores if not one.vendor],
        "package": f"{package.name}-{package.version}",
        "package_cpe": "None",
        "package_cpe23": "None",
        "package_name": package.name,
        "package_path": _path(package),
        "package_type": package_type(package),
        "package_version": package.version,
        "severity": found.severity.name.title(),
        "url": found.url,
        "vendor_data": [_scores(found.id, one) for one in found.scores if one.vendor],
        "vuln": found.id,
        "will_not_fix": found.will_not_fix,
    }


def _path(package: Package) -> str:
    return "pkgdb" if package.type in OS_PACKAGES else package.location or "None"


def _scores(vulnerability: str, score: Score) -> dict[str, Any]:
    nothing = {
        "base_score": _NO_SCORE,
        "exploitability_score": _NO_SCORE,
        "impact_score": _NO_SCORE,
    }
    given = {
        "base_score": score.base,
        "exploitability_score": score.exploitability,
        "impact_score": score.impact,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return {"id": vulnerability, "cvss_v2": nothing, "cvss_v3": nothing | known}


def _unknown(kind: str, known: Known, asked: list[Finding]) -> dict[str, Any]:
    """Where silence is no good news: what the data does not cover, and up to when it is."""
    matches = known.matches
    return {
        "as_of": None if matches.as_of is None else timestamp(matches.as_of),
        "contradictions": list(known.facts.contradictions),
        "feed_group": matches.group,
        "packages": [
            {"name": one.name, "type": package_type(one), "version": one.version}
            for one in of_kind(matches.uncovered, kind)
        ],
        "problem": known.problem,
        "unavailable": "" if kind == NON_OS else matches.unavailable,
        "without_severity": sorted({one.id for one in asked if one.severity is Severity.UNKNOWN}),
    }
