"""Package databases of each kind, through the real server and the real Syft, against records of
their distribution: what is installed is found under the name by which the records know it."""

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry
from tests.fakes.tars import SYMLINK, Part, layer
from tests.functional.scanner.conftest import Client
from tests.functional.scanner.images import image_of
from tests.unit.scanner.feeds.osv import CRITICAL, affected, record, scored, write

DATA = Path(__file__).parents[2] / "data" / "scanner"
RPMDB = gzip.decompress((DATA / "rpm" / "rhel-9.rpmdb.sqlite.gz").read_bytes())
RHEL = b'ID="rhel"\nVERSION_ID="9.4"\n'
ALPINE = b"ID=alpine\nVERSION_ID=3.20.3\n"


def apk(name: str, version: str, origin: str) -> bytes:
    """A stanza of apk's database."""
    return f"C:Q1AAAA=\nP:{name}\nV:{version}\nA:x86_64\nS:1\nI:1\nT:it\no:{origin}\n\n".encode()


INSTALLED = b"".join(
    (
        apk("alpine-release", "3.20.3-r0", "alpine-base"),
        apk("musl", "1.2.5-r0", "musl"),
        apk("libcrypto3", "3.3.1-r0", "openssl"),
        apk("libssl3", "3.3.1-r0", "openssl"),
        apk("busybox", "1.36.1-r29", "busybox"),
    )
)

ALPINES = [
    record(
        "ALPINE-CVE-2099-1000",
        affected("Alpine:v3.20", "openssl", "introduced 0", "fixed 3.3.1-r1"),
        affected("Alpine:v3.19", "busybox", "introduced 0"),
        upstream=["CVE-2099-1000"],
        severity=scored(CRITICAL),
    ),
    record(
        "ALPINE-CVE-2099-1001",
        affected("Alpine:v3.20", "busybox", "introduced 0", "fixed 1.36.1-r9"),
    ),
    record(
        "ALPINE-CVE-2099-1002",
        affected("Alpine:v3.20", "musl", "introduced 0"),
        withdrawn="2026-01-01T00:00:00Z",
    ),
    record("ALPINE-CVE-2099-1003", affected("Alpine:v3.20", "busybox", "introduced 0")),
]

APPSTREAM = "Red Hat:enterprise_linux:9::appstream"


def rhsa(number: int, name: str, fixed: str, summary: str) -> dict[str, Any]:
    entry = affected(APPSTREAM, name, "introduced 0", f"fixed {fixed}")
    cve = f"CVE-2099-{number}"
    return record(f"RHSA-2099:{number}", entry, upstream=[cve], summary=summary)


RED_HATS = [
    rhsa(2000, "openssl-libs", "1:3.0.7-27.el9", "Important: openssl security update"),
    rhsa(2001, "openssl-libs", "1:3.0.7-24.el9", "Critical: openssl security update"),
    rhsa(2002, "nodejs", "1:18.20.0-1.module+el9.3.0+1", "Moderate: nodejs:18 security update"),
    rhsa(2003, "nodejs", "1:20.9.0-1.module+el9.3.0+1", "Important: nodejs:20 security update"),
]


class Case(NamedTuple):
    """A system, the dump that its release is in, and what is to be found."""

    layer: bytes
    dump: str
    records: list[dict[str, Any]]
    group: str
    packages: Mapping[str, str]
    found: set[tuple[str, str, str, str]]
    uncovered: list[str]


def red_hat(*parts: Part) -> Case:
    return Case(
        layer(Part("etc/os-release", RHEL), *parts),
        "Red Hat",
        RED_HATS,
        "rhel:9",
        {
            "redhat-release": "9.4-0.5.el9",
            "setup": "2.13.7-10.el9",
            "openssl-libs": "1:3.0.7-25.el9_3",
            "nodejs": "1:18.19.0-1.module+el9.3.0+1",
            "htop": "3.3.0-1.el9",
        },
        {
            ("CVE-2099-2000", "openssl-libs", "High", "1:3.0.7-27.el9"),
            ("CVE-2099-2002", "nodejs", "Medium", "1:18.20.0-1.module+el9.3.0+1"),
        },
        ["htop"],
    )


CASES = {
    "apk": Case(
        layer(Part("etc/os-release", ALPINE), Part("lib/apk/db/installed", INSTALLED)),
        "Alpine",
        ALPINES,
        "alpine:3.20",
        {
            "alpine-release": "3.20.3-r0",
            "musl": "1.2.5-r0",
            "libcrypto3": "3.3.1-r0",
            "libssl3": "3.3.1-r0",
            "busybox": "1.36.1-r29",
        },
        {
            ("CVE-2099-1000", "libcrypto3", "Critical", "3.3.1-r1"),
            ("CVE-2099-1000", "libssl3", "Critical", "3.3.1-r1"),
            ("CVE-2099-1003", "busybox", "Unknown", "None"),
        },
        [],
    ),
    "rpm": red_hat(
        Part("var/lib/rpm/rpmdb.sqlite", RPMDB),
        Part("var/lib/rpm/rpmdb.sqlite-shm", bytes(32768)),
        Part("var/lib/rpm/rpmdb.sqlite-wal", b""),
    ),
    "rpm where newer releases have it": red_hat(
        Part("usr/lib/sysimage/rpm/rpmdb.sqlite", RPMDB),
        Part("var/lib/rpm", kind=SYMLINK, link="../../usr/lib/sysimage/rpm"),
    ),
}


async def analysed(scanner: Client, registry: FakeRegistry, case: Case, folder: Path) -> Content:
    """The image of a case, against the whole dump of its distribution."""
    records = write(folder / "records", *case.records)
    feeds = FeedFolder(scanner.folder / "feeds")
    await asyncio.to_thread(import_records, feeds, [records], whole=[case.dump])
    image = image_of([case.layer])
    await scanner.analysed(registry, image)
    return image


@pytest.mark.parametrize("name", CASES)
async def test_each_kind_of_database_is_read_and_judged_by_its_distributions_records(
    real_scanner: Client, registry: FakeRegistry, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    image = await analysed(real_scanner, registry, case, tmp_path)

    _, content = await real_scanner.get(f"/v1/images/{image.digest}/content/os")
    assert {one["package"]: one["version"] for one in content["content"]} == case.packages
    _, body = await real_scanner.get(f"/v1/images/{image.digest}/vuln/all")
    found = [
        (one["vuln"], one["package_name"], one["severity"], one["fix"])
        for one in body["vulnerabilities"]
    ]
    assert len(found) == len(case.found)
    assert set(found) == case.found
    unknown = body["imagegate_unknown"]
    assert unknown["feed_group"] == case.group
    assert [one["name"] for one in unknown["packages"]] == case.uncovered
    assert unknown["contradictions"] == []
    assert unknown["without_severity"] == sorted({one[0] for one in found if one[2] == "Unknown"})
