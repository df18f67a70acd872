"""The gate `vulnerabilities`: what the feed knows of an image, and what it does not."""

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from services.scanner.gates.trigger import (
    BOOLEAN,
    Hit,
    Param,
    Params,
    Sight,
    Trigger,
    one_of,
    whole_number,
)
from services.scanner.matching.finding import Finding, Severity
from services.scanner.records import OS_PACKAGES, Package, os_packages

_NAMED = 10

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def _vulnerable_package(sight: Sight, params: Params) -> Iterator[Hit]:
    wanted = params.get("severity")
    compare = _COMPARISONS[params["severity_comparison"]] if wanted else None
    for found in sight.matches.findings:
        severity = found.severity
        if compare and wanted and not compare(severity, Severity[wanted.upper()]):
            continue
        if not _fix_fits(found, params.get("fix_available")):
            continue
        fixed = f"(fixed in: {found.fixed})" if found.fixed else ""
        yield Hit(
            f"{severity.name} Vulnerability found in os package type (dpkg) - "
            f"{found.package.name} {fixed}({found.id} - {found.url})",
            trigger_id=f"{found.id}+{found.package.name}",
        )


def _fix_fits(found: Finding, wanted: str | None) -> bool:
    return wanted is None or (found.fixed is not None) == (wanted == "true")


def _severity_pair(params: Params) -> str:
    if ("severity" in params) == ("severity_comparison" in params):
        return ""
    return "severity and severity_comparison must be given together"


def _data_unavailable(sight: Sight, params: Params) -> Iterator[Hit]:
    """What the feed cannot say: of an unknown release, packages it does not cover, severities.

    Engine's trigger knows the first only.
    """
    facts, matches = sight.facts, sight.matches
    release = matches.group
    if matches.unavailable:
        yield Hit(
            f"Distro-specific feed data not found for distro namespace: {release}. "
            "Cannot perform CVE scan OS/distro packages"
        )
    elif not os_packages(facts):
        yield Hit(
            f"The image says that it is {release} but lists no package of it. "
            "Cannot perform CVE scan OS/distro packages"
        )
    else:
        yield from _uncovered(sight, release)
    unscored = [
        f"{found.id}+{found.package.name}"
        for found in matches.findings
        if found.severity is Severity.UNKNOWN
    ]
    if unscored:
        yield _hit_naming("Vulnerabilities without a known severity", unscored)


def _uncovered(sight: Sight, release: str) -> Iterator[Hit]:
    asked = [one for one in sight.facts.packages if sight.all_packages or one.type in OS_PACKAGES]
    uncovered = frozenset(sight.matches.uncovered)
    missing = [_label(one) for one in asked if one in uncovered]
    if missing:
        yield _hit_naming(
            f"The vulnerability feed of {release} covers {len(asked) - len(missing)} of "
            f"{len(asked)} packages. It knows nothing of",
            missing,
        )


def _label(package: Package) -> str:
    return package.name if package.type in OS_PACKAGES else f"{package.name} ({package.type})"


def _hit_naming(what: str, names: list[str]) -> Hit:
    """Shows the first names; the id depends on all of them, so that it accepts no others."""
    every = sorted(set(names))
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return Hit(f"{what}: {', '.join(every[:_NAMED])}{more}", identity=",".join(every))


def _stale_feed(sight: Sight, params: Params) -> Iterator[Hit]:
    as_of, days = sight.matches.as_of, int(params["max_days_since_sync"])
    if (
        as_of is None
        or (sight.today - datetime.fromtimestamp(as_of / 1000, UTC).date()).days > days
    ):
        yield Hit(
            f"The vulnerability feed for this image distro is older than MAXAGE ({days}) days"
        )


VULNERABILITIES: Mapping[str, Trigger] = {
    "package": Trigger(
        _vulnerable_package,
        {
            "package_type": Param(required=True, check=one_of("os", "all")),
            "severity_comparison": Param(check=one_of(*_COMPARISONS)),
            "severity": Param(check=one_of(*(level.name.lower() for level in Severity))),
            "fix_available": BOOLEAN,
        },
        _severity_pair,
    ),
    "stale_feed_data": Trigger(
        _stale_feed, {"max_days_since_sync": Param(required=True, check=whole_number)}
    ),
    "vulnerability_data_unavailable": Trigger(_data_unavailable),
}
