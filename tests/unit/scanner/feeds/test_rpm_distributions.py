"""What the records of distributions of RPMs mean for their packages, trap by trap."""

from pathlib import Path

import pytest

from services.scanner.matching.finding import Severity
from tests.unit.scanner.feeds.osv import (
    affected,
    feed_of,
    findings,
    ids,
    package,
    record,
)

RHEL = "Red Hat:enterprise_linux:9::"


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
