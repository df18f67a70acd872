"""What each distribution's records mean for its packages, trap by trap."""

from pathlib import Path

import pytest

from services.scanner.matching.finding import Severity
from tests.unit.scanner.feeds.osv import (
    CRITICAL,
    HIGH,
    affected,
    feed_of,
    findings,
    ids,
    package,
    record,
    scored,
)

RHEL = "Red Hat:enterprise_linux:9::"


@pytest.mark.parametrize(
    ("installed", "is_affected"),
    [
        ("3.0.11-1~deb12u1", True),
        ("3.0.11-1~deb12u2", False),
        ("3.0.11-1~deb12u10", False),
        ("3.0.11-1", False),
        ("3.0.9-1+b1", True),
        ("3.0.11-1~deb12u2~bpo11+1", True),
        ("1:1.0-1", False),
    ],
)
def test_debians_backported_fix_is_the_one_that_counts(
    tmp_path: Path, installed: str, is_affected: bool
) -> None:
    entry = affected("Debian:12", "openssl", "introduced 0", "fixed 3.0.11-1~deb12u2")
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2023-5678", entry, upstream=["CVE-2023-5678"]))

    found = findings(
        feed, "debian:12", package("libssl3", installed, source="openssl", source_version=installed)
    )
    assert [(one.id, one.fixed) for one in found] == (
        [("CVE-2023-5678", "3.0.11-1~deb12u2")] if is_affected else []
    )


def test_an_epoch_is_compared_before_all_else(tmp_path: Path) -> None:
    entry = affected("Debian:12", "zlib", "introduced 0", "fixed 1:1.2.13.dfsg-2")
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1", entry, upstream=["CVE-2099-1000"]))

    assert ids(feed, "debian:12", package("zlib", "9.9-1")) == ["CVE-2099-1000"]
    assert ids(feed, "debian:12", package("zlib", "1:1.2.13.dfsg-2")) == []


def test_what_is_numbered_otherwise_than_its_source_is_compared_by_the_source(
    tmp_path: Path,
) -> None:
    """dmsetup is 2:1.02.185-2, built of lvm2 2.03.16-2, which the records are about."""
    entry = affected("Debian:12", "lvm2", "introduced 0", "fixed 2.03.16-3")
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", entry))

    def found(source_version: str) -> list[str]:
        one = package("dmsetup", "2:1.02.185-2", source="lvm2", source_version=source_version)
        return ids(feed, "debian:12", one)

    assert found("2.03.16-2") == ["CVE-2099-1000"]
    assert found("2.03.16-3") == []


@pytest.mark.parametrize(
    ("release", "type_", "ecosystem", "another"),
    [
        ("alpine:3.22.1", "apk", "Alpine:v3.22", "Alpine:v3.21"),
        ("ubuntu:22.04", "deb", "Ubuntu:22.04:LTS", "Ubuntu:22.10"),
        ("rhel:9.4", "rpm", f"{RHEL}baseos", "Red Hat:enterprise_linux:8::baseos"),
        ("almalinux:9.4", "rpm", "AlmaLinux:9", "AlmaLinux:8"),
        ("rocky:9.4", "rpm", "Rocky Linux:9", "Rocky Linux:8"),
        (
            "sles:15.7",
            "rpm",
            "SUSE:Linux Enterprise Server 15 SP7",
            "SUSE:Linux Enterprise Server 15 SP6",
        ),
        ("opensuse-leap:15.6", "rpm", "openSUSE:Leap 15.6", "openSUSE:Leap 15.5"),
    ],
)
def test_what_another_release_says_is_nothing_to_this_one(
    tmp_path: Path, release: str, type_: str, ecosystem: str, another: str
) -> None:
    feed = feed_of(
        tmp_path,
        record("CVE-2099-1000", affected(ecosystem, "bad", "introduced 0", "fixed 1-r1")),
        record("CVE-2099-1001", affected(another, "bad", "introduced 0", "fixed 3-r1")),
        record("CVE-2099-1002", affected(another, "bad", "introduced 0", "fixed 1-r1")),
    )

    def found(version: str) -> list[str]:
        return ids(feed, release, package("bad", version, type_))

    assert found("0-r1") == ["CVE-2099-1000"]
    assert found("2-r1") == []


def test_only_the_images_own_release_counts(tmp_path: Path) -> None:
    entries = [
        affected("Debian:11", "bash", "introduced 0", "fixed 9-1"),
        affected("Debian:12", "bash", "introduced 0", "fixed 5-1"),
        affected("Debian:13", "bash", "introduced 0"),
    ]
    feed = feed_of(
        tmp_path,
        record("DEBIAN-CVE-2099-1000", *entries),
        as_of=1_700_000_000_000,
        whole=["Debian"],
    )

    assert ids(feed, "debian:12", package("bash", "5-1")) == []
    assert ids(feed, "debian:11", package("bash", "5-1")) == ["CVE-2099-1000"]
    (found,) = findings(feed, "debian:13", package("bash", "99-1"))
    assert found.fixed is None


def test_what_debian_calls_unimportant_is_negligible_whatever_the_score(tmp_path: Path) -> None:
    entry = affected(
        "Debian:12", "glibc", "introduced 0", ecosystem_specific={"urgency": "unimportant"}
    )
    cve = record("CVE-2099-1000", severity=scored(CRITICAL))
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", entry, severity=scored(CRITICAL)), cve)

    (found,) = findings(feed, "debian:12", package("glibc", "2.36-9"))
    assert found.severity == Severity.NEGLIGIBLE
    assert [score.base for score in found.scores] == [9.8]


def test_the_tracker_has_the_last_word_over_an_advisory_with_another_fix(tmp_path: Path) -> None:
    """A regression update names the CVE again: it is fixed all the same since the first."""
    feed = feed_of(
        tmp_path,
        record(
            "DEBIAN-CVE-2099-1000",
            affected("Debian:12", "bad", "introduced 0", "fixed 1.0-1+deb12u1"),
        ),
        record(
            "DSA-5000-2",
            affected("Debian:12", "bad", "introduced 0", "fixed 1.0-1+deb12u2"),
            upstream=["CVE-2099-1000"],
            published="2026-01-02T00:00:00Z",
        ),
    )

    assert ids(feed, "debian:12", package("bad", "1.0-1+deb12u1")) == []
    (found,) = findings(feed, "debian:12", package("bad", "1.0-1"))
    assert (found.fixed, found.advisories) == ("1.0-1+deb12u1", ("DSA-5000-2",))
    assert found.fix_published == 1_767_312_000_000


def test_an_old_advisory_names_its_cves_as_related(tmp_path: Path) -> None:
    entry = affected("Debian:12", "bad", "introduced 0", "fixed 2-1")
    feed = feed_of(tmp_path, record("DSA-1-1", entry, related=["CVE-2099-1001", "CVE-2099-1000"]))

    assert ids(feed, "debian:12", package("bad", "1-1")) == ["CVE-2099-1000", "CVE-2099-1001"]


@pytest.mark.parametrize(
    ("installed", "is_affected"),
    [
        ("3.3.1-r9", True),
        ("3.3.1-r10", False),
        ("3.3.1-r11", False),
        ("3.3.1_git20240512-r0", False),
        ("3.3.1_rc1-r20", True),
        ("3.3.10-r0", False),
        ("3.2", True),
    ],
)
def test_alpines_revisions_and_suffixes_are_numbers_and_words(
    tmp_path: Path, installed: str, is_affected: bool
) -> None:
    entry = affected("Alpine:v3.22", "openssl", "introduced 0", "fixed 3.3.1-r10")
    feed = feed_of(tmp_path, record("ALPINE-CVE-2099-1000", entry, upstream=["CVE-2099-1000"]))

    installed_package = package("libssl3", installed, "apk", source="openssl")
    assert bool(ids(feed, "alpine:3.22.1", installed_package)) is is_affected


def test_what_was_never_affected_in_alpine_is_fixed_in_0(tmp_path: Path) -> None:
    entry = affected("Alpine:v3.22", "busybox", "introduced 0", "fixed 0")
    feed = feed_of(tmp_path, record("ALPINE-CVE-2099-1000", entry))

    assert ids(feed, "alpine:3.22", package("busybox", "1.37.0-r0", "apk")) == []


def test_a_fix_that_ubuntu_sells_is_none_for_everybody(tmp_path: Path) -> None:
    feed = feed_of(
        tmp_path,
        record(
            "UBUNTU-CVE-2025-29769",
            affected("Ubuntu:22.04:LTS", "vips", "introduced 0", versions=("8.12.1-1",)),
            affected(
                "Ubuntu:Pro:22.04:LTS", "vips", "introduced 0", "fixed 8.12.1-1ubuntu0.1~esm1"
            ),
            affected("Ubuntu:Pro:FIPS-updates:22.04:LTS", "fips", "introduced 0"),
            upstream=["CVE-2025-29769"],
        ),
        record(
            "UBUNTU-CVE-2025-1000",
            affected(
                "Ubuntu:Pro:22.04:LTS", "vips", "introduced 0", "fixed 8.12.1-1ubuntu0.1~esm1"
            ),
        ),
        whole=["Ubuntu"],
    )

    found = findings(feed, "ubuntu:22.04", package("vips", "8.12.1-1"))
    assert [(one.id, one.fixed) for one in found] == [
        ("CVE-2025-1000", None),
        ("CVE-2025-29769", None),
    ]
    assert ids(feed, "ubuntu:22.04", package("fips", "1")) == []


def test_who_has_the_fix_that_everybody_gets_is_not_held_to_the_one_that_is_sold(
    tmp_path: Path,
) -> None:
    """Pro had it first; then it came for all, in a later version."""
    feed = feed_of(
        tmp_path,
        record(
            "UBUNTU-CVE-2099-1000",
            affected("Ubuntu:22.04:LTS", "vips", "introduced 0", "fixed 8.12.1-1ubuntu0.2"),
            affected(
                "Ubuntu:Pro:22.04:LTS", "vips", "introduced 0", "fixed 8.12.1-1ubuntu0.1~esm1"
            ),
        ),
    )

    (found,) = findings(feed, "ubuntu:22.04", package("vips", "8.12.1-1"))
    assert found.fixed == "8.12.1-1ubuntu0.2"
    assert ids(feed, "ubuntu:22.04", package("vips", "8.12.1-1ubuntu0.2")) == []


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("negligible", Severity.NEGLIGIBLE),
        ("low", Severity.LOW),
        ("medium", Severity.MEDIUM),
        ("high", Severity.HIGH),
        ("critical", Severity.CRITICAL),
        ("untriaged", Severity.UNKNOWN),
    ],
)
def test_ubuntus_priority_counts_where_there_is_no_score(
    tmp_path: Path, priority: str, severity: Severity
) -> None:
    entry = affected("Ubuntu:24.04:LTS", "bad", "introduced 0")
    feed = feed_of(
        tmp_path,
        record("UBUNTU-CVE-2099-1000", entry, severity=[{"type": "Ubuntu", "score": priority}]),
        record(
            "UBUNTU-CVE-2099-1001",
            entry,
            severity=[{"type": "Ubuntu", "score": priority}, *scored(HIGH)],
        ),
    )

    found = findings(feed, "ubuntu:24.04", package("bad", "1-1"))
    assert [one.severity for one in found] == [severity, Severity.HIGH]


@pytest.mark.parametrize("distribution", ["Wolfi", "Chainguard"])
def test_what_rolls_has_one_release(tmp_path: Path, distribution: str) -> None:
    entry = affected(distribution, "haproxy-3.1", "introduced 0", "fixed 3.1.7-r0")
    feed = feed_of(
        tmp_path, record("CGA-1", entry, upstream=["CVE-2099-1000", "GHSA-x"]), whole=[distribution]
    )

    old, new = (package("haproxy-3.1", version, "apk") for version in ("3.1.6-r9", "3.1.7-r0"))
    assert ids(feed, f"{distribution.lower()}:20230201", old, new) == ["CVE-2099-1000"]
