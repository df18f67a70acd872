"""What would have looked clean: each of these was silent once."""

import time
from pathlib import Path

import pytest

from services.scanner.matching.finding import Severity
from tests.unit.scanner.feeds.osv import (
    CRITICAL,
    affected,
    feed_of,
    findings,
    ids,
    image,
    imported,
    package,
    record,
    scored,
    uncovered,
)

LOG4J = record(
    "GHSA-jfh8-c2jp-5v3q",
    affected("Maven", "org.apache.logging.log4j:log4j-core", "introduced 2.0", "fixed 2.17.1"),
    aliases=["CVE-2021-44228"],
    severity=scored(CRITICAL),
)
DEBIAN = record("DEBIAN-CVE-2099-1000", affected("Debian:12", "known", "introduced 0", "fixed 1"))
DAY = 86_400_000


def test_what_a_package_of_somebody_else_brought_is_judged_by_its_own_records(
    tmp_path: Path,
) -> None:
    """Debian's silence about a package that it never heard of says nothing of the jar in it."""
    feed = feed_of(tmp_path, LOG4J, DEBIAN, whole=["Debian", "Maven"])
    purl = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
    jar = package("log4j-core", "2.14.1", "java-archive", purl=purl, owner="elasticsearch")

    theirs = package("elasticsearch", "7.10.2")
    assert ids(feed, "debian:12", theirs, jar) == ["CVE-2021-44228"]
    assert ids(feed, "debian:12", jar) == ["CVE-2021-44228"]


def test_what_debian_does_not_mind_elsewhere_is_no_judgement(tmp_path: Path) -> None:
    judgement = {"urgency": "unimportant"}
    feed = feed_of(
        tmp_path,
        record(
            "DEBIAN-CVE-2099-1000",
            affected("Debian:12", "bad", "introduced 0", ecosystem_specific=judgement),
            affected("Debian:12", "bad", "introduced 0"),
            severity=scored(CRITICAL),
        ),
        record(
            "CVE-2099-1001",
            affected("PyPI", "bad", "introduced 0", ecosystem_specific=judgement),
            severity=scored(CRITICAL),
        ),
    )

    bad = (package("bad", "1-1"), package("bad", "1", "python"))
    assert [one.severity for one in findings(feed, "debian:12", *bad)] == [Severity.CRITICAL] * 2


def test_a_record_of_the_future_makes_no_data_newer_than_now(tmp_path: Path) -> None:
    entry = affected("Debian:12", "bad", "introduced 0")
    typo = {"id": "DEBIAN-CVE-2099-1000", "modified": "2999-01-01T00:00:00Z", "affected": [entry]}

    (release,) = imported(tmp_path, typo).state.releases
    assert release.as_of <= time.time() * 1000

    (release,) = imported(tmp_path, typo, as_of=int(time.time() * 1000) + 400 * DAY).state.releases
    assert release.as_of <= time.time() * 1000


@pytest.mark.parametrize("module", ["", "nodejs:18:9030020231222:rhel9"])
def test_what_is_affected_without_a_fix_is_so_in_every_stream(tmp_path: Path, module: str) -> None:
    entry = affected("Red Hat:enterprise_linux:9::appstream", "nodejs", "introduced 0")
    feed = feed_of(tmp_path, record("RHSA-2099:1", entry, upstream=["CVE-2099-1000"]))

    installed = package("nodejs", "1:18.20.0-1.module+el9.3.0+1", "rpm", module=module)
    assert ids(feed, "rhel:9.4", installed) == ["CVE-2099-1000"]


def test_a_stream_stands_in_listed_versions_as_well(tmp_path: Path) -> None:
    version = "1:18.20.0-1.module+el9.3.0+1"
    entry = affected("Red Hat:enterprise_linux:9::appstream", "nodejs", versions=(version,))
    feed = feed_of(tmp_path, record("RHSA-2099:1", entry, upstream=["CVE-2099-1000"]))

    installed = package("nodejs", version, "rpm", module="nodejs:18:9030020231222:rhel9")
    assert ids(feed, "rhel:9.4", installed) == ["CVE-2099-1000"]


@pytest.mark.parametrize(
    ("release", "vendor", "covered"),
    [
        ("rhel:9.4", "Red Hat, Inc.", True),
        ("rhel:9.4", "Fedora Project", False),
        ("rhel:9.4", "Elastic", False),
        ("rhel:9.4", "", True),
        ("rhel:9.4", "(none)", True),
        ("rocky:9.4", "Rocky Enterprise Software Foundation", True),
        ("rocky:9.4", "Fedora Project", False),
        ("almalinux:9.4", "AlmaLinux", True),
        ("sles:15.6", "SUSE LLC <https://www.suse.com/>", True),
        ("opensuse-leap:15.6", "openSUSE", True),
        ("opensuse-leap:15.6", "obs://build.opensuse.org/home:somebody", False),
    ],
)
def test_of_an_rpm_of_another_vendor_the_distributors_silence_says_nothing(
    tmp_path: Path, release: str, vendor: str, covered: bool
) -> None:
    ecosystems = {
        "rhel": ("Red Hat", "Red Hat:enterprise_linux:9::baseos"),
        "rocky": ("Rocky Linux", "Rocky Linux:9"),
        "almalinux": ("AlmaLinux", "AlmaLinux:9"),
        "sles": ("SUSE", "SUSE:Linux Enterprise Server 15 SP6"),
        "opensuse-leap": ("openSUSE", "openSUSE:Leap 15.6"),
    }
    whole, ecosystem = ecosystems[release.partition(":")[0]]
    known = record("X-1", affected(ecosystem, "bad", "introduced 0"), aliases=["CVE-2099-1000"])
    feed = feed_of(tmp_path, known, whole=[whole])

    silent = package("rpmfusion", "1-1", "rpm", origin=vendor)
    bad = package("bad", "1-1", "rpm", origin=vendor)
    matches = feed.match(image(release, silent, bad))
    assert uncovered(matches) == ([] if covered else ["rpmfusion", "bad"])
    assert [one.id for one in matches.findings] == ["CVE-2099-1000"]


def test_versions_that_nobody_can_compare_leave_their_package_uncovered_beside_a_bad_one(
    tmp_path: Path,
) -> None:
    fixes = ("6", " ", "no version")
    feed = feed_of(
        tmp_path,
        *(
            record(f"GHSA-{number}", affected("NuGet", "Bad", "introduced 0", f"fixed {fix}"))
            for number, fix in enumerate(fixes)
        ),
        LOG4J,
        whole=["NuGet"],
    )

    assert uncovered(feed.match(image("debian:12", package("bad", "5", "dotnet")))) == ["bad"]
    assert ids(feed, "debian:12", package("good", "5", "dotnet")) == []


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T01:00:00+02:00", "2026-01-01T00:30:00Z"),
        ("", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "some day"),
        ("", ""),
    ],
)
def test_of_a_record_that_comes_twice_the_newer_counts_by_time_and_both_where_nobody_knows(
    tmp_path: Path, older: str, newer: str
) -> None:
    fixed = record("X-1", affected("Debian:12", "bad", "introduced 0", "fixed 1"))
    still = record("X-1", affected("Debian:12", "bad", "introduced 0"))
    feed = feed_of(tmp_path, fixed | {"modified": older}, still | {"modified": newer})

    assert ids(feed, "debian:12", package("bad", "2")) == ["X-1"]


def test_two_records_of_one_name_and_time_both_count(tmp_path: Path) -> None:
    one, other = (record("X-1", affected("Debian:12", name, "introduced 0")) for name in "ab")
    feed = feed_of(tmp_path, one, other, whole=["Debian"])

    assert ids(feed, "debian:12", package("a", "1"), package("b", "1")) == ["X-1", "X-1"]


def test_a_purl_that_is_none_stops_no_import(tmp_path: Path) -> None:
    entry = affected("Rocky Linux:9", "bad", "introduced 0", "fixed 1-2")
    entry["package"]["purl"] = "pkg://[x?epoch=1"
    feed = feed_of(tmp_path, record("RLSA-2099:1", entry))

    assert ids(feed, "rocky:9.4", package("bad", "1:1-1", "rpm")) == ["RLSA-2099:1"]
