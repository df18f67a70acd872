"""Matching advisories, and saying what is not known."""

import json
from datetime import date
from pathlib import Path

import pytest

from services.scanner.feeds.feed import Feed
from services.scanner.matching.finding import Severity
from services.scanner.records import Package
from shared.domain.errors import InvalidSettings
from tests.unit.scanner.samples import (
    CRITICAL,
    FEED,
    GOOD,
    UNCOVERED,
    evaluated,
    facts,
    messages,
    rule,
)

UNAVAILABLE = rule("vulnerabilities", "vulnerability_data_unavailable")
CRITICALS = rule(
    "vulnerabilities",
    "package",
    package_type="os",
    severity_comparison="=",
    severity="critical",
)


def test_a_critical_vulnerability_is_found_and_told_as_engine_tells_it() -> None:
    (row,) = evaluated(facts(packages=(CRITICAL,)), CRITICALS, UNAVAILABLE).rows

    assert row.trigger_id == "CVE-2099-0001+libbad1"
    assert row.message == (
        "CRITICAL Vulnerability found in os package type (dpkg) - libbad1 (fixed in: 2.0-2)"
        "(CVE-2099-0001 - https://tracker.example/CVE-2099-0001)"
    )


def test_the_fixed_version_is_clean_of_it() -> None:
    fixed = Package("libbad1", "2.0-2", "deb", "bad", "2.0-2")

    assert messages(facts(packages=(fixed,)), CRITICALS, UNAVAILABLE) == []


@pytest.mark.parametrize(
    ("version", "vulnerable"),
    [
        ("1.9-1", True),
        ("2.0-1+b1", True),
        ("2.0-2~bpo12+1", True),
        ("2.0-2", False),
        ("2.0-2+deb12u1", False),
        ("2.10-1", False),
        ("1:1.0-1", False),
    ],
)
def test_versions_are_compared_as_debian_does(version: str, vulnerable: bool) -> None:
    package = Package("libbad1", version, "deb", "bad", version)

    assert bool(messages(facts(packages=(package,)), CRITICALS)) is vulnerable


def test_the_source_packages_version_counts_not_the_binarys() -> None:
    package = Package("libbad1", "9.9-9", "deb", "bad", "2.0-1")

    assert len(messages(facts(packages=(package,)), CRITICALS)) == 1


def test_of_a_vulnerability_without_a_fix_the_message_names_none() -> None:
    asked = rule(
        "vulnerabilities", "package", package_type="os", severity_comparison="=", severity="high"
    )

    assert messages(facts(packages=(CRITICAL,)), asked) == [
        "HIGH Vulnerability found in os package type (dpkg) - libbad1 "
        "(CVE-2099-0002 - https://tracker.example/CVE-2099-0002)"
    ]


@pytest.mark.parametrize(("available", "cve"), [("true", "0001"), ("false", "0002")])
def test_a_rule_can_ask_for_vulnerabilities_with_or_without_a_fix(available: str, cve: str) -> None:
    asked = rule("vulnerabilities", "package", package_type="os", fix_available=available)

    found = evaluated(facts(packages=(CRITICAL,)), asked).rows
    assert [row.trigger_id for row in found] == [f"CVE-2099-{cve}+libbad1"]


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
    ("score", "severity"),
    [
        (10.0, "CRITICAL"),
        (9.0, "CRITICAL"),
        (8.9, "HIGH"),
        (7.0, "HIGH"),
        (6.9, "MEDIUM"),
        (4.0, "MEDIUM"),
        (3.9, "LOW"),
        (0.1, "LOW"),
        (0.0, "NEGLIGIBLE"),
    ],
)
def test_scores_become_severities_at_their_borders(score: float, severity: str) -> None:
    assert Severity.of_score(score).name == severity


def test_what_debian_calls_unimportant_is_negligible_whatever_its_score() -> None:
    assert messages(facts(packages=(GOOD,)), CRITICALS, UNAVAILABLE) == []


def test_a_package_that_the_feed_does_not_cover_is_named_and_stops() -> None:
    outcome = evaluated(facts(packages=(GOOD, UNCOVERED)), CRITICALS, UNAVAILABLE)

    assert outcome.final_action == "stop"
    assert [row.message for row in outcome.rows] == [
        "The vulnerability feed of debian:12 covers 1 of 2 packages. It knows nothing of: stranger"
    ]


def test_many_uncovered_packages_are_counted_after_the_first_ten() -> None:
    strangers = tuple(Package(f"p{n:02}", "1", "deb", f"p{n:02}", "1") for n in range(25))

    (message,) = messages(facts(packages=strangers), UNAVAILABLE)
    assert message.endswith("p00, p01, p02, p03, p04, p05, p06, p07, p08, p09 and 15 more")


def test_accepting_one_set_of_uncovered_packages_accepts_no_other() -> None:
    strangers = tuple(Package(f"p{n:02}", "1", "deb", f"p{n:02}", "1") for n in range(25))
    other = (*strangers[:-1], Package("q", "1", "deb", "q", "1"))

    (first,) = evaluated(facts(packages=strangers), UNAVAILABLE).rows
    (second,) = evaluated(facts(packages=other), UNAVAILABLE).rows
    assert first.message == second.message
    assert first.trigger_id != second.trigger_id


def test_without_a_rule_about_missing_data_the_scanner_warns_of_it_by_itself() -> None:
    outcome = evaluated(facts(packages=(GOOD, UNCOVERED)), CRITICALS)

    assert [(row.trigger, row.action) for row in outcome.rows] == [
        ("vulnerability_data_unavailable", "warn")
    ]
    assert (outcome.status, outcome.final_action) == ("pass", "warn")


def test_a_policy_that_asks_for_no_vulnerabilities_gets_no_such_warning() -> None:
    assert (
        evaluated(facts(packages=(UNCOVERED,)), rule("packages", "blacklist", name="x")).rows == ()
    )


def test_a_release_without_data_is_told_as_engine_tells_it() -> None:
    scratch = facts(distro="Unknown", distro_version="0", packages=())

    (row,) = evaluated(scratch, UNAVAILABLE).rows
    assert row.message == (
        "Distro-specific feed data not found for distro namespace: Unknown:0. "
        "Cannot perform CVE scan OS/distro packages"
    )
    assert row.trigger_id == "149bf2e8839f951a91d0915bce5cd2f5"  # as recorded from Engine


def test_an_image_of_a_known_release_without_any_package_is_not_clean() -> None:
    (message,) = messages(facts(packages=()), UNAVAILABLE)

    assert "lists no package of it" in message


def test_packages_of_another_kind_than_the_releases_are_not_covered() -> None:
    alpines = Package("good", "1.0-1", "apk", "good", "1.0-1")

    assert "knows nothing of: good" in messages(facts(packages=(alpines,)), UNAVAILABLE)[0]


def test_a_version_that_is_none_is_not_covered() -> None:
    broken = Package("good", "not a version", "deb", "good", "not a version")

    assert "knows nothing of: good" in messages(facts(packages=(broken,)), UNAVAILABLE)[0]


def test_a_vulnerability_without_a_severity_is_said() -> None:
    vague = Package("libvague1", "1.0", "deb", "vague", "1.0")

    assert messages(facts(packages=(vague,)), CRITICALS, UNAVAILABLE) == [
        "Vulnerabilities without a known severity: CVE-2099-0003+libvague1"
    ]


def test_packages_of_languages_count_only_where_the_policy_asks_for_all() -> None:
    image = facts(packages=(GOOD, Package("requests", "2.0", "python", "requests", "2.0")))
    of_all = rule("vulnerabilities", "package", package_type="all")

    assert messages(image, CRITICALS, UNAVAILABLE) == []
    assert "requests (python)" in messages(image, of_all, UNAVAILABLE)[-1]


def test_an_old_feed_can_be_asked_for() -> None:
    week = rule("vulnerabilities", "stale_feed_data", "WARN", max_days_since_sync="7")
    six_days = rule("vulnerabilities", "stale_feed_data", "WARN", max_days_since_sync="6")
    elsewhere = facts(distro="alpine", distro_version="3.20")

    assert messages(facts(), week) == []
    assert messages(facts(), six_days) == [
        "The vulnerability feed for this image distro is older than MAXAGE (6) days"
    ]
    assert len(messages(elsewhere, week)) == 1


def test_the_packages_own_feed_can_be_read_and_covers_what_the_docs_say() -> None:
    (release,) = Feed.read().releases

    assert (release.release.id, release.release.version) == ("debian", "12")
    assert release.as_of <= date(2026, 11, 25)
    assert {"adduser", "base-files", "ca-certificates", "expat", "glibc"} <= set(release.covers)
    assert {"media-types", "netbase", "openssh", "tzdata"} <= set(release.covers)


@pytest.mark.parametrize(
    ("source", "version", "cve", "there"),
    [
        ("expat", "2.5.0-1", "CVE-2024-45491", True),
        ("expat", "2.5.0-1", "CVE-2024-45492", True),
        ("expat", "2.5.0-1+deb12u1", "CVE-2024-45492", False),
        ("openssh", "1:9.2p1-2", "CVE-2023-38408", True),
        ("openssh", "1:9.2p1-2+deb12u2", "CVE-2024-6387", True),
        ("openssh", "1:9.2p1-2+deb12u10", "CVE-2024-6387", False),
        ("glibc", "2.36-9+deb12u5", "CVE-2024-2961", True),
        ("glibc", "2.36-9+deb12u14", "CVE-2024-2961", False),
    ],
)
def test_the_packages_own_feed_knows_real_advisories(
    source: str, version: str, cve: str, there: bool
) -> None:
    image = facts(packages=(Package("x", version, "deb", source, version),))

    found = {one.id for one in Feed.read().match(image).findings}
    assert (cve in found) is there


def write_feed(folder: Path, **changes: object) -> Path:
    document = {
        "schema": 1,
        "release": {
            "id": "debian",
            "version": "12",
            "codename": "bookworm",
            "package_type": "deb",
            "url": "https://tracker.example/{id}",
        },
        "as_of": "2026-01-01",
        "about": [],
        "sources": [],
        "covers": ["a"],
        "advisories": [{"id": "CVE-1", "source": "a", "fixed": "1"}],
    }
    (folder / "feed.json").write_text(json.dumps(document | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"advisories": [{"id": "CVE-1", "source": "b"}]}, "CVE-1 is about b"),
        ({"advisories": [{"id": "CVE-1", "source": "a", "fixed": "?"}]}, "no valid version"),
        ({"advisories": [{"id": "CVE-1", "source": "a", "fixt": "1"}]}, "fixt"),
        ({"schema": 2}, "schema 1"),
        ({"as_of": "yesterday"}, "as_of"),
    ],
)
def test_a_feed_that_is_wrong_is_refused_by_file(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidSettings, match=r"feed\.json.*" + said):
        Feed.read(write_feed(tmp_path, **changes))


def test_a_feed_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="no advisory files"):
        Feed.read(tmp_path)


def test_a_feed_in_a_folder_is_read(tmp_path: Path) -> None:
    assert Feed.read(write_feed(tmp_path)).releases[0].covers == ("a",)
    assert FEED.releases[0].covers != ("a",)
