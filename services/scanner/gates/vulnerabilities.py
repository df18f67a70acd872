"""The gate `vulnerabilities`: what the data knows of an image, and what it does not."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from services.scanner.gates.comparing import ORDERED
from services.scanner.gates.params import (
    Param,
    Values,
    boolean,
    one_of,
    path_pattern,
    score,
    vulnerability_ids,
    whole_number,
)
from services.scanner.gates.trigger import Hit, Sight, Trigger
from services.scanner.gates.unavailable import data_unavailable, stale_feed
from services.scanner.gates.vulnerable import (
    PACKAGE_TYPES,
    PUBLISHED_SCORES,
    SCORES,
    VENDOR_SCORES,
    fits,
    score_of,
)
from services.scanner.matching.finding import Finding, Severity
from services.scanner.records import OS_PACKAGES

_COMPARISON = Param(one_of(*ORDERED))
_NEVER: Mapping[tuple[str, Severity], str] = {
    (">", Severity.CRITICAL): "nothing is more than critical",
    ("<", Severity.UNKNOWN): "nothing is less than unknown",
}


def _vulnerable_package(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for each vulnerability of a package that all conditions of the rule fit."""
    for found in sight.matches.findings:
        if fits(found, values, sight.now) is True:
            yield Hit(_message(found, values), trigger_id=f"{found.id}+{found.package.name}")


def _message(found: Finding, values: Values) -> str:
    package = found.package
    origin = "os" if package.type in OS_PACKAGES else "non-os"
    kind = PACKAGE_TYPES.get(package.type, package.type)
    fixed = f"(fixed in: {found.fixed})" if found.fixed else ""
    return (
        f"{found.severity.name} Vulnerability found in {origin} package type ({kind}) - "
        f"{package.name} {fixed}{_scores(found, values, PUBLISHED_SCORES)}{_days(found, values)}"
        f"{_scores(found, values, VENDOR_SCORES)}({found.id} - {found.url})"
    )


def _scores(found: Finding, values: Values, kinds: tuple[str, ...]) -> str:
    """The scores that the rule asks for."""
    return _in_brackets({name: str(score_of(found, name)) for name in kinds if name in values})


def _days(found: Finding, values: Values) -> str:
    """The days since which the rule counts, where they are known."""
    dates = {"max_days_since_creation": found.published, "max_days_since_fix": found.fix_published}
    return _in_brackets(
        {
            name: datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
            for name, at in dates.items()
            if name in values and at is not None
        }
    )


def _in_brackets(shown: Mapping[str, str]) -> str:
    return f"({' '.join(f'{name}={text}' for name, text in shown.items())})" if shown else ""


def _blacklist(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires once, naming all of the listed vulnerabilities that were found, by any of their ids."""
    there: set[str] = set()
    for found in sight.matches.findings:
        if not (values.get("vendor_only") and found.will_not_fix):
            there.update(one.casefold() for one in (found.id, *found.advisories))
    detected = [one for one in values["vulnerability_ids"] if one.casefold() in there]
    if detected:
        yield Hit(f"Blacklisted vulnerabilities detected: {detected}")


def _severity(text: str) -> Severity:
    return Severity[one_of(*(level.name.lower() for level in Severity))(text).upper()]


def _package_problem(values: Values) -> str:
    for name in ("severity", *SCORES):
        if (name in values) != (f"{name}_comparison" in values):
            return f"{name} and {name}_comparison must be given together"
    if "severity" in values:
        found = (values["severity_comparison"], values["severity"])
        if found in _NEVER:
            return f"such a rule finds nothing: {_NEVER[found]}"
    if "max_days_since_fix" in values and not values.get("fix_available"):
        return "max_days_since_fix means something only with fix_available true"
    return ""


VULNERABILITIES: Mapping[str, Trigger] = {
    "package": Trigger(
        _vulnerable_package,
        {
            "package_type": Param(one_of("all", "os", "non-os"), required=True),
            "severity_comparison": _COMPARISON,
            "severity": Param(_severity),
            **{name: Param(score) for name in SCORES},
            **{f"{name}_comparison": _COMPARISON for name in SCORES},
            "fix_available": Param(boolean),
            "vendor_only": Param(boolean),
            "max_days_since_creation": Param(whole_number),
            "max_days_since_fix": Param(whole_number),
            "package_path_exclude": Param(path_pattern),
        },
        _package_problem,
    ),
    "stale_feed_data": Trigger(
        stale_feed, {"max_days_since_sync": Param(whole_number, required=True)}
    ),
    "vulnerability_data_unavailable": Trigger(data_unavailable),
    "blacklist": Trigger(
        _blacklist,
        {
            "vulnerability_ids": Param(vulnerability_ids, required=True),
            "vendor_only": Param(boolean),
        },
    ),
}
