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
    image,
    package,
    record,
    scored,
    uncovered,
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


@pytest.mark.parametrize(
    ("version", "epoch", "is_affected"),
    [
        ("1:3.0.7-27.el9", 1, False),
        ("3.0.7-27.el9", 1, False),
        ("1:3.0.7-25.el9_3", 1, True),
        ("3.0.7-27.el9", None, True),
        ("1:3.0.7-27.el9~rc1", 1, True),
        ("1:3.0.7-27.el9^git1", 1, False),
    ],
)
def test_red_hats_epochs_are_compared_and_a_missing_one_is_0(
    tmp_path: Path, version: str, epoch: int | None, is_affected: bool
) -> None:
    feed = feed_of(
        tmp_path,
        record(
            "RHSA-2099:1",
            affected(f"{RHEL}baseos", "openssl-libs", "introduced 0", "fixed 1:3.0.7-27.el9"),
            affected("Red Hat:rhel_eus:9.2::baseos", "openssl-libs", "introduced 0", "fixed 9:1-1"),
            upstream=["CVE-2099-1000", "CVE-2099-1001"],
            summary="Important: openssl security update",
        ),
    )

    one = package("openssl-libs", version, "rpm", source="openssl", epoch=epoch)
    found = findings(feed, "rhel:9.4", one)
    assert [each.id for each in found] == (
        ["CVE-2099-1000", "CVE-2099-1001"] if is_affected else []
    )
    assert {each.severity for each in found} <= {Severity.HIGH}
    assert {each.advisories for each in found} <= {("RHSA-2099:1",)}


def test_a_cve_of_several_advisories_counts_once_and_is_fixed_when_all_say_so(
    tmp_path: Path,
) -> None:
    feed = feed_of(
        tmp_path,
        *(
            record(
                f"RHSA-2099:{number}",
                affected(f"{RHEL}{part}", "bad", "introduced 0", f"fixed 0:1.0-{release}.el9"),
                upstream=["CVE-2099-1000"],
            )
            for number, (part, release) in enumerate(
                [("appstream", 5), ("baseos", 5), ("appstream", 7)]
            )
        ),
    )

    (found,) = findings(feed, "rhel:9.4", package("bad", "1.0-4.el9", "rpm"))
    assert found.fixed == "0:1.0-7.el9"
    assert found.advisories == ("RHSA-2099:0", "RHSA-2099:1", "RHSA-2099:2")
    assert ids(feed, "rhel:9.4", package("bad", "1.0-6.el9", "rpm")) == ["CVE-2099-1000"]
    assert ids(feed, "rhel:9.4", package("bad", "1.0-7.el9", "rpm")) == []


@pytest.mark.parametrize(
    ("version", "module", "cves"),
    [
        ("1:18.19.0-1.module+el9.3.0+1", "nodejs:18:9030020231222:rhel9", ["CVE-2099-1018"]),
        ("1:18.20.0-1.module+el9.3.0+1", "nodejs:18:9030020240222:rhel9", []),
        ("1:20.1.0-1.module+el9.3.0+1", "nodejs:20:9030020231222:rhel9", ["CVE-2099-1018"]),
        ("1:20.9.0-1.module+el9.3.0+1", "nodejs:20:9030020231222:rhel9", []),
        ("1:16.20.0-1.el9", "", ["CVE-2099-1016"]),
        ("1:16.21.0-1.el9", "", []),
        ("1:18.20.0-1.module+el9.3.0+1", "", ["CVE-2099-1018"]),
    ],
)
def test_streams_of_a_module_have_versions_of_their_own(
    tmp_path: Path, version: str, module: str, cves: list[str]
) -> None:
    def fixed(by: str) -> dict[str, object]:
        return affected(f"{RHEL}appstream", "nodejs", "introduced 0", f"fixed {by}")

    feed = feed_of(
        tmp_path,
        record(
            "RHSA-2099:18",
            fixed("1:18.20.0-1.module+el9.3.0+1"),
            upstream=["CVE-2099-1018"],
            summary="Important: nodejs:18 security update",
        ),
        record(
            "RHSA-2099:20",
            fixed("1:20.9.0-1.module+el9.3.0+1"),
            upstream=["CVE-2099-1018"],
            summary="Important: nodejs:20 security update",
        ),
        record(
            "RHSA-2099:16",
            fixed("1:16.21.0-1.el9"),
            upstream=["CVE-2099-1016"],
            summary="Moderate: nodejs security update",
        ),
    )

    assert ids(feed, "rhel:9.4", package("nodejs", version, "rpm", module=module)) == cves


def test_almalinux_names_binaries_and_its_cves_as_related(tmp_path: Path) -> None:
    feed = feed_of(
        tmp_path,
        record(
            "ALSA-2099:1",
            affected("AlmaLinux:9", "bind-libs", "introduced 0", "fixed 32:9.16.23-1.el9_0.1"),
            related=["CVE-2099-1000"],
            summary="Moderate: bind security update",
        ),
    )

    old = package("bind-libs", "32:9.16.23-1.el9", "rpm", source="bind")
    (found,) = findings(feed, "almalinux:9.4", old)
    assert (found.id, found.severity) == ("CVE-2099-1000", Severity.MEDIUM)


def test_rocky_names_sources_and_keeps_an_old_records_epoch_in_the_purl(tmp_path: Path) -> None:
    entry = affected("Rocky Linux:9", "bind", "introduced 0", "fixed 9.16.23-2.el9")
    entry["package"]["purl"] = "pkg:rpm/rocky-linux/bind@9.16?distro=rocky-linux-9&epoch=32"
    feed = feed_of(tmp_path, record("RLSA-2099:1", entry, aliases=["CVE-2099-1000"]))

    def installed(release: str) -> list[str]:
        version = f"9.16.23-{release}.el9"
        one = package(
            "bind-libs", f"32:{version}", "rpm", source="bind", source_version=version, epoch=32
        )
        return ids(feed, "rocky:9.4", one)

    assert installed("1") == ["CVE-2099-1000"]
    assert installed("2") == []


def test_suses_modules_are_parts_of_the_server_and_long_support_is_not(tmp_path: Path) -> None:
    feed = feed_of(
        tmp_path,
        record(
            "SUSE-SU-2099:1-1",
            affected(
                "SUSE:Linux Enterprise Module for Basesystem 15 SP7",
                "openssl-1_1",
                "introduced 0",
                "fixed 1.1.1w-150600.5.18.1",
            ),
            affected("SUSE:Linux Enterprise Server 15 SP7-LTSS", "openssl-1_1", "introduced 0"),
            affected("openSUSE:Leap 16.0", "openssl-1_1", "introduced 0"),
            upstream=["CVE-2099-1000"],
        ),
    )

    old = package("libopenssl1_1", "1.1.1w-150600.5.9.1", "rpm", source="openssl-1_1")
    new = package("libopenssl1_1", "1.1.1w-150600.5.18.1", "rpm", source="openssl-1_1")
    assert ids(feed, "sles:15.7", old) == ["CVE-2099-1000"]
    assert ids(feed, "sles:15.7", new) == []
    assert ids(feed, "opensuse-leap:16.0", new) == ["CVE-2099-1000"]


@pytest.mark.parametrize("distribution", ["Wolfi", "Chainguard"])
def test_what_rolls_has_one_release(tmp_path: Path, distribution: str) -> None:
    entry = affected(distribution, "haproxy-3.1", "introduced 0", "fixed 3.1.7-r0")
    feed = feed_of(
        tmp_path, record("CGA-1", entry, upstream=["CVE-2099-1000", "GHSA-x"]), whole=[distribution]
    )

    old, new = (package("haproxy-3.1", version, "apk") for version in ("3.1.6-r9", "3.1.7-r0"))
    assert ids(feed, f"{distribution.lower()}:20230201", old, new) == ["CVE-2099-1000"]


@pytest.mark.parametrize(
    ("type_", "ecosystem", "name", "versions"),
    [
        ("python", "PyPI", "Django_REST.framework", ("3.15.2rc1", "3.15.2")),
        ("npm", "npm", "@scope/thing", ("3.15.1", "3.15.10")),
        ("go-module", "Go", "stdlib", ("go1.22.1", "go1.22.10")),
        ("gem", "RubyGems", "rack", ("3.0.9.pre1", "3.15.2")),
        ("rust-crate", "crates.io", "time", ("0.1.44", "3.15.2")),
        ("php-composer", "Packagist", "Vendor/Thing", ("3.15.1", "3.15.2")),
        ("dotnet", "NuGet", "Newtonsoft.Json", ("3.15.1", "3.15.2.1")),
    ],
)
def test_packages_of_languages_are_asked_by_their_own_rules(
    tmp_path: Path, type_: str, ecosystem: str, name: str, versions: tuple[str, str]
) -> None:
    fixed = "1.22.2" if ecosystem == "Go" else "3.15.2"
    written = "django-rest-framework" if ecosystem == "PyPI" else name
    entry = affected(ecosystem, written, "introduced 0", f"fixed {fixed}")
    feed = feed_of(tmp_path, record("GHSA-1", entry, aliases=["CVE-2099-1000"]))

    matches = feed.match(image("debian:12", *(package(name, one, type_) for one in versions)))
    assert [(one.package.version, one.group) for one in matches.findings] == [
        (versions[0], ecosystem)
    ]
    assert uncovered(matches) == []


def test_a_jar_without_a_group_may_be_any(tmp_path: Path) -> None:
    entry = affected("Maven", "org.apache.logging:log4j", "introduced 2.0", "fixed 2.17.1")
    feed = feed_of(tmp_path, record("GHSA-1", entry), whole=["Maven"])

    purl = "pkg:maven/org.apache.logging/log4j@2.14.1"
    matches = feed.match(
        image(
            "debian:12",
            package("log4j", "2.14.1", "java-archive", purl=purl),
            package("other", "1", "java-archive"),
        )
    )
    assert [one.id for one in matches.findings] == ["GHSA-1"]
    assert uncovered(matches) == ["other"]


def test_what_a_distributions_package_brought_is_judged_by_the_distributor(tmp_path: Path) -> None:
    entries = [
        affected("PyPI", "requests", "introduced 0", "fixed 2.32.0"),
        affected("Debian:12", "requests", "introduced 0", "fixed 2.28.1+dfsg-1"),
    ]
    feed = feed_of(tmp_path, record("CVE-2099-1000", *entries))

    deb = package("python3-requests", "2.28.1+dfsg-1", source="requests")
    owned = package("requests", "2.28.1", "python", owner="python3-requests")
    own = package("requests", "2.28.1", "python")
    assert ids(feed, "debian:12", deb, owned) == []
    assert ids(feed, "debian:12", deb, own) == ["CVE-2099-1000"]
