"""Which vulnerabilities a rule is about, and how they are told."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.scanner.gates.vulnerable import SCORES
from services.scanner.matching.finding import Finding, Matches, Score, Severity
from services.scanner.records import Package
from tests.unit.scanner.samples import AS_OF, CRITICAL, NOW, evaluated, facts, messages, rule

DAY = 86_400_000
CRITICALS = rule(
    "vulnerabilities",
    "package",
    package_type="os",
    severity_comparison="=",
    severity="critical",
)
JAR = Package(
    "log4j-core", "2.14", "java-archive", "log4j-core", "2.14", location="/app/lib/log4j-core.jar"
)
OS = Finding(
    "CVE-2099-0001",
    CRITICAL,
    Severity.CRITICAL,
    "2.0-2",
    scores=(
        Score(9.8, "CVSS:3.1/AV:N", exploitability=3.9, impact=5.9),
        Score(10.0, "AV:N/AC:L/Au:N/C:C/I:C/A:C", exploitability=10.0, impact=10.0),
        Score(6.5, "CVSS:3.1/AV:L", exploitability=2.0, impact=3.6, vendor=True),
    ),
    advisories=("DSA-1-1",),
    url="https://tracker.example/CVE-2099-0001",
    published=NOW - 30 * DAY,
    fix_published=NOW - 10 * DAY,
)


def known(*findings: Finding) -> Matches:
    return Matches("here", "debian:12", AS_OF, findings=findings)


def changed(**changes: Any) -> Finding:
    return msgspec.structs.replace(OS, **changes)


def found(finding: Finding, **params: str) -> list[str]:
    """Ids and messages apart from what is said of missing data."""
    asked = rule("vulnerabilities", "package", **({"package_type": "all"} | params))
    image = facts(packages=(finding.package,))
    return [
        row.message
        for row in evaluated(image, asked, known=known(finding)).rows
        if row.trigger == "package"
    ]


def test_a_critical_vulnerability_is_found_and_told_as_engine_tells_it() -> None:
    (row,) = evaluated(facts(packages=(CRITICAL,)), CRITICALS).rows

    assert row.trigger_id == "CVE-2099-0001+libbad1"
    assert row.message == (
        "CRITICAL Vulnerability found in os package type (dpkg) - libbad1 (fixed in: 2.0-2)"
        "(CVE-2099-0001 - https://tracker.example/CVE-2099-0001)"
    )


def test_of_a_vulnerability_without_a_fix_the_message_names_none() -> None:
    asked = rule(
        "vulnerabilities", "package", package_type="os", severity_comparison="=", severity="high"
    )

    assert messages(facts(packages=(CRITICAL,)), asked) == [
        "HIGH Vulnerability found in os package type (dpkg) - libbad1 "
        "(CVE-2099-0002 - https://tracker.example/CVE-2099-0002)"
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("deb", "os package type (dpkg)"),
        ("rpm", "os package type (rpm)"),
        ("apk", "os package type (apkg)"),
        ("alpm", "os package type (alpm)"),
        ("python", "non-os package type (python)"),
        ("npm", "non-os package type (npm)"),
        ("gem", "non-os package type (gem)"),
        ("go-module", "non-os package type (go)"),
        ("java-archive", "non-os package type (java)"),
        ("jenkins-plugin", "non-os package type (java)"),
        ("rust-crate", "non-os package type (rust-crate)"),
    ],
)
def test_packages_are_of_the_types_that_engine_has(kind: str, told: str) -> None:
    package = msgspec.structs.replace(CRITICAL, type=kind)

    (message,) = found(changed(package=package))
    assert f"found in {told} - libbad1" in message


@pytest.mark.parametrize(
    ("asked", "package", "fires"),
    [
        ("os", CRITICAL, True),
        ("os", JAR, False),
        ("non-os", CRITICAL, False),
        ("non-os", JAR, True),
        ("all", CRITICAL, True),
        ("all", JAR, True),
    ],
)
def test_a_rule_is_about_packages_of_a_type(asked: str, package: Package, fires: bool) -> None:
    assert bool(found(changed(package=package), package_type=asked)) is fires


@pytest.mark.parametrize(
    ("comparison", "count"), [("=", 1), ("!=", 1), (">", 1), (">=", 2), ("<", 0), ("<=", 1)]
)
def test_severities_are_ordered(comparison: str, count: int) -> None:
    asked = rule(
        "vulnerabilities",
        "package",
        package_type="os",
        severity_comparison=comparison,
        severity="high",
    )

    assert len(messages(facts(packages=(CRITICAL,)), asked)) == count


@pytest.mark.parametrize(
    ("params", "fires"),
    [
        ({}, True),
        ({"fix_available": "true"}, True),
        ({"fix_available": "false"}, False),
        ({"fix_available": "True"}, True),
        ({"vendor_only": "true"}, True),
        ({"max_days_since_creation": "30"}, True),
        ({"max_days_since_creation": "31"}, False),
        ({"fix_available": "true", "max_days_since_fix": "10"}, True),
        ({"fix_available": "true", "max_days_since_fix": "11"}, False),
        ({"package_path_exclude": ".*"}, True),
        ({"severity_comparison": ">=", "severity": "unknown"}, True),
    ],
)
def test_each_condition_holds_or_does_not(params: dict[str, str], fires: bool) -> None:
    assert bool(found(OS, **params)) is fires


@pytest.mark.parametrize(
    ("finding", "params", "fires"),
    [
        (changed(fixed=None), {"fix_available": "true"}, False),
        (changed(fixed=None), {"fix_available": "false"}, True),
        (changed(will_not_fix=True), {"vendor_only": "true"}, False),
        (changed(will_not_fix=True), {"vendor_only": "false"}, True),
        (changed(will_not_fix=True), {}, True),
        (changed(published=None), {"max_days_since_creation": "999"}, True),
        (
            changed(fix_published=None),
            {"fix_available": "true", "max_days_since_fix": "999"},
            True,
        ),
        (changed(package=JAR), {"package_path_exclude": r".*\.jar"}, False),
        (changed(package=JAR), {"package_path_exclude": "/app"}, False),
        (changed(package=JAR), {"package_path_exclude": "app"}, True),
        (
            changed(package=msgspec.structs.replace(JAR, location="")),
            {"package_path_exclude": ".*jar"},
            True,
        ),
    ],
)
def test_what_is_not_known_excuses_nothing(
    finding: Finding, params: dict[str, str], fires: bool
) -> None:
    assert bool(found(finding, **params)) is fires


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cvss_v3_base_score", 9.8),
        ("cvss_v3_exploitability_score", 3.9),
        ("cvss_v3_impact_score", 5.9),
        ("vendor_cvss_v3_base_score", 6.5),
        ("vendor_cvss_v3_exploitability_score", 2.0),
        ("vendor_cvss_v3_impact_score", 3.6),
    ],
)
@pytest.mark.parametrize(
    ("comparison", "fires"),
    [
        ("=", (False, True, False)),
        ("!=", (True, False, True)),
        (">", (True, False, False)),
        (">=", (True, True, False)),
        ("<", (False, False, True)),
        ("<=", (False, True, True)),
    ],
)
def test_scores_are_those_of_version_3_and_the_vendors_by_themselves(
    name: str, value: float, comparison: str, fires: tuple[bool, bool, bool]
) -> None:
    """Asked with a score below, the same, and one above."""
    asked = (f"{wanted:.1f}" for wanted in (value - 0.1, value, value + 0.1))

    assert fires == tuple(
        bool(found(OS, **{name: wanted, f"{name}_comparison": comparison})) for wanted in asked
    )


def test_the_highest_of_several_scores_counts() -> None:
    two = changed(scores=(Score(5.0), Score(7.5)))

    assert found(two, cvss_v3_base_score="7", cvss_v3_base_score_comparison=">=")


def test_what_a_rule_asks_for_is_told_with_the_vulnerability() -> None:
    day = datetime.fromtimestamp((NOW - 30 * DAY) / 1000, UTC).date()
    (message,) = found(
        OS,
        cvss_v3_impact_score="1",
        cvss_v3_impact_score_comparison=">",
        cvss_v3_base_score="1",
        cvss_v3_base_score_comparison=">",
        vendor_cvss_v3_base_score="1",
        vendor_cvss_v3_base_score_comparison=">",
        max_days_since_creation="1",
    )

    assert message == (
        "CRITICAL Vulnerability found in os package type (dpkg) - libbad1 (fixed in: 2.0-2)"
        "(cvss_v3_base_score=9.8 cvss_v3_impact_score=5.9)"
        f"(max_days_since_creation={day})(vendor_cvss_v3_base_score=6.5)"
        "(CVE-2099-0001 - https://tracker.example/CVE-2099-0001)"
    )


@pytest.mark.parametrize("name", SCORES)
def test_a_score_that_is_not_known_fires_nothing_and_is_said(name: str) -> None:
    asked = rule(
        "vulnerabilities",
        "package",
        package_type="os",
        **{name: "0", f"{name}_comparison": ">="},
    )
    bare = changed(scores=())

    assert messages(facts(packages=(CRITICAL,)), asked, known=known(bare)) == [
        "Vulnerabilities without a known CVSS score: CVE-2099-0001+libbad1"
    ]


def test_a_severity_that_is_not_known_is_said_where_the_rule_would_have_applied_else() -> None:
    vague = changed(severity=Severity.UNKNOWN)

    def said(**params: str) -> list[str]:
        asked = rule(
            "vulnerabilities",
            "package",
            **({"package_type": "os", "severity_comparison": "=", "severity": "high"} | params),
        )
        return messages(facts(packages=(CRITICAL,)), asked, known=known(vague))

    unknown = "Vulnerabilities without a known severity: CVE-2099-0001+libbad1"
    assert said() == [unknown]
    assert said(fix_available="true") == [unknown]
    assert said(fix_available="false") == []
    assert said(package_type="non-os") == []
    assert "UNKNOWN Vulnerability found" in said(severity_comparison="<")[0]
    assert "UNKNOWN Vulnerability found" in said(severity="unknown")[0]


@pytest.mark.parametrize(
    ("ids", "params", "detected"),
    [
        ("CVE-2099-0001", {}, "['CVE-2099-0001']"),
        ("CVE-2098-1, cve-2099-0001", {}, "['cve-2099-0001']"),
        ("DSA-1-1,CVE-2099-0001", {}, "['DSA-1-1', 'CVE-2099-0001']"),
        ("CVE-2099-00011", {}, ""),
        ("CVE-2099-0001", {"vendor_only": "true"}, "['CVE-2099-0001']"),
    ],
)
def test_listed_vulnerabilities_are_found_by_any_of_their_ids(
    ids: str, params: dict[str, str], detected: str
) -> None:
    asked = rule("vulnerabilities", "blacklist", vulnerability_ids=ids, **params)

    assert messages(facts(packages=(CRITICAL,)), asked, known=known(OS)) == (
        [f"Blacklisted vulnerabilities detected: {detected}"] if detected else []
    )


@pytest.mark.parametrize(("vendor_only", "count"), [("true", 0), ("false", 1), (None, 1)])
def test_what_the_vendor_will_not_fix_counts_unless_the_rule_says_otherwise(
    vendor_only: str | None, count: int
) -> None:
    params = {"vendor_only": vendor_only} if vendor_only else {}
    asked = rule("vulnerabilities", "blacklist", vulnerability_ids="CVE-2099-0001", **params)
    open_ = known(changed(will_not_fix=True, fixed=None))

    assert len(messages(facts(packages=(CRITICAL,)), asked, known=open_)) == count


def test_the_same_finding_is_one_row() -> None:
    twice = known(OS, changed(package=msgspec.structs.replace(CRITICAL, version="1.0-1")))

    assert len(messages(facts(packages=(CRITICAL,)), CRITICALS, known=twice)) == 1
