"""Which findings a rule about vulnerable packages is about: true, false, or not to be known.

A condition that cannot be decided, since the data has no severity or score, makes a finding
neither one that the rule is about nor one that it is not. The trigger
`vulnerability_data_unavailable` names these.
"""

from collections.abc import Iterator, Mapping

from services.scanner.gates.comparing import ORDERED
from services.scanner.gates.params import Values
from services.scanner.matching.finding import Finding, Score, Severity
from services.scanner.records import OS_PACKAGES

DAY = 86_400_000

PUBLISHED_SCORES = ("cvss_v3_base_score", "cvss_v3_exploitability_score", "cvss_v3_impact_score")
VENDOR_SCORES = tuple(f"vendor_{name}" for name in PUBLISHED_SCORES)
SCORES = (*PUBLISHED_SCORES, *VENDOR_SCORES)

PACKAGE_TYPES: Mapping[str, str] = {
    "apk": "apkg",
    "binary": "binary",
    "deb": "dpkg",
    "dotnet": "nuget",
    "gem": "gem",
    "go-module": "go",
    "java-archive": "java",
    "jenkins-plugin": "java",
    "npm": "npm",
    "php-composer": "composer",
    "python": "python",
    "rpm": "rpm",
}
"""Syft's word -> Engine's. Types that Engine has no word for keep Syft's."""

Answer = bool | str
"""Whether a finding fits; a text: it cannot be known, for want of this."""


def fits(found: Finding, values: Values, now: int) -> Answer:
    """Whether a rule is about `found`. False as soon as one condition is, the severity first: most
    of an image's hundreds of findings end there."""
    severe = _is_severe(found, values)
    if severe is False:
        return False
    lacking = severe if isinstance(severe, str) else ""
    for answer in _conditions(found, values, now):
        if answer is False:
            return False
        if isinstance(answer, str):
            lacking = lacking or answer
    return lacking or True


def score_of(found: Finding, name: str) -> float | None:
    """The highest CVSS v3 score of that name; None: there is none."""
    vendor = name.startswith("vendor_")
    kind = name.removeprefix("vendor_").removeprefix("cvss_v3_").removesuffix("_score")
    known = [
        getattr(score, kind) for score in found.scores if score.vendor == vendor and _is_v3(score)
    ]
    return max((one for one in known if one is not None), default=None)


def _is_v3(score: Score) -> bool:
    """A score without a vector is one of version 3."""
    return not score.vector or score.vector.startswith("CVSS:3")


def _conditions(found: Finding, values: Values, now: int) -> Iterator[Answer]:
    """All but the severity, one after the other, the cheap ones first."""
    yield _is_of_type(found, values["package_type"])
    if "fix_available" in values:
        yield (found.fixed is not None) == values["fix_available"]
    if values.get("vendor_only"):
        yield not found.will_not_fix
    yield _is_older(found.published, values.get("max_days_since_creation"), now)
    if values.get("fix_available"):
        yield _is_older(found.fix_published, values.get("max_days_since_fix"), now)
    for name in SCORES:
        if name in values:
            yield _has_score(found, name, values)
    if "package_path_exclude" in values and found.package.type not in OS_PACKAGES:
        yield values["package_path_exclude"].match(found.package.location) is None


def _is_of_type(found: Finding, wanted: str) -> bool:
    return wanted == "all" or (wanted == "os") == (found.package.type in OS_PACKAGES)


def _is_severe(found: Finding, values: Values) -> Answer:
    if "severity" not in values:
        return True
    wanted = values["severity"]
    if ORDERED[values["severity_comparison"]](found.severity, wanted):
        return True
    undecided = found.severity is Severity.UNKNOWN is not wanted
    return "severity" if undecided else False


def _is_older(at: int | None, days: int | None, now: int) -> bool:
    """A date that is not known gives no delay."""
    return days is None or at is None or at <= now - days * DAY


def _has_score(found: Finding, name: str, values: Values) -> Answer:
    score = score_of(found, name)
    if score is None:
        return "CVSS score"
    return ORDERED[values[f"{name}_comparison"]](score, values[name])
