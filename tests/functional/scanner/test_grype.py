"""The whole scanner with Grype as its vulnerability data: same gates, same shapes, and what Grype
does not say is said."""

from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import InvalidSettings
from tests.fakes.grype import FakeGrype, facts_of, make_database
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client, Open
from tests.functional.scanner.images import debian_image
from tests.waiting import eventually

NAME = "debian-12"
RELEASES = {
    "debian-12": (b"12", b"bookworm"),
    "debian-13": (b"13", b"trixie"),
}


def image(name: str = NAME) -> Content:
    """The image that was recorded, for the real Syft to list."""
    version, codename = RELEASES[name]
    stanzas = []
    for one in facts_of(name).packages:
        source = (
            one.source
            if one.source_version == one.version
            else f"{one.source} ({one.source_version})"
        )
        lines = [f"Package: {one.name}", f"Version: {one.version}"]
        if source != one.name:
            lines.append(f"Source: {source}")
        stanzas.append("\n".join(lines) + "\n")
    release = b'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="%s"\nVERSION_CODENAME=%s\n'
    return debian_image(*stanzas, os_release=release % (version, codename))


@pytest.fixture
def fake(tmp_path: Path) -> FakeGrype:
    return FakeGrype(tmp_path / "grype")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
async def grype_scanner(open_scanner: Open, fake: FakeGrype, cache: Path) -> Client:
    return await opened(open_scanner, fake, cache)


async def opened(open_scanner: Open, fake: FakeGrype, cache: Path, **changes: Any) -> Client:
    make_database(cache)
    return await open_scanner(
        path=str(fake.folder),
        imagegate_scanner_vulnerabilities="grype",
        imagegate_scanner_grype_cache=cache,
        **changes,
    )


async def problems(client: Client, registry: FakeRegistry) -> tuple[str, list[dict[str, Any]]]:
    """Status and evaluation problems of a check of the image."""
    content = image()
    reference = await client.analysed(registry, content)
    entry = await client.entry(reference, content.digest)
    return entry["status"], entry["detail"]["result"]["evaluation_problems"]


async def test_what_grype_knows_goes_through_the_same_gates(
    grype_scanner: Client, registry: FakeRegistry
) -> None:
    content = image()
    reference = await grype_scanner.analysed(registry, content)
    rows = await grype_scanner.rows(reference, content.digest)
    outputs = {row[0]: row[3] for row in rows if "vulnerabilities" in row[1]}
    assert {"CVE-2024-45491+libexpat1", "CVE-2026-5450+libc6"} <= set(outputs)
    assert outputs["CVE-2024-45491+libexpat1"] == (
        "CRITICAL Vulnerability found in os package type (dpkg) - libexpat1 (fixed in: "
        "2.5.0-1+deb12u1)(CVE-2024-45491 - https://security-tracker.debian.org/tracker/"
        "CVE-2024-45491)"
    )
    assert any(
        "without a known severity: CVE-2099-1001+openssh-server" in one for one in outputs.values()
    )
    assert not any("CVE-2099-1004" in one for one in outputs), "what Grype ignores"


async def test_a_release_that_grype_has_nothing_about_is_not_clean(
    grype_scanner: Client, registry: FakeRegistry
) -> None:
    content = image("debian-13")
    reference = await grype_scanner.analysed(registry, content)
    rows = await grype_scanner.rows(reference, content.digest)
    assert any("not found for distro namespace: debian:13" in row[3] for row in rows)
    assert (await grype_scanner.entry(reference, content.digest))["status"] == "fail"


async def test_people_see_what_grype_found_and_what_it_speaks_about(
    grype_scanner: Client, registry: FakeRegistry
) -> None:
    content = image()
    await grype_scanner.analysed(registry, content)
    status, body = await grype_scanner.get(f"/v1/images/{content.digest}/vuln/all")
    assert status == 200
    found = {one["vuln"]: one for one in body["vulnerabilities"]}
    assert found["CVE-2024-45491"]["fix"] == "2.5.0-1+deb12u1"
    assert found["CVE-2099-1001"]["severity"] == "Unknown"
    status, feeds = await grype_scanner.get("/v1/system/feeds")
    assert status == 200
    names = {group["name"] for feed in feeds for group in feed["groups"]}
    assert {"debian:12", "alpine:3.20", "rhel:9", "python", "npm"} <= names


async def test_known_data_is_asked_once_and_another_database_again_without_a_pull(
    grype_scanner: Client, registry: FakeRegistry, fake: FakeGrype, cache: Path
) -> None:
    content = image()
    reference = await grype_scanner.analysed(registry, content)
    await grype_scanner.entry(reference, content.digest)
    await eventually(lambda: fake.scans() >= 1)
    scans = fake.scans()
    await grype_scanner.entry(reference, content.digest)
    assert fake.scans() == scans
    pulls = len(registry.requests)
    make_database(cache, "INSERT INTO packages VALUES(99, 'gem', 'rails');")

    async def asked_again() -> bool:
        entry = await grype_scanner.entry(reference, content.digest)
        assert entry["detail"]["result"]["evaluation_problems"] == []
        return fake.scans() > scans

    await eventually(asked_again, within=60)
    assert len(registry.requests) == pulls


async def test_without_a_database_every_check_fails_with_what_to_do(
    open_scanner: Open, registry: FakeRegistry, fake: FakeGrype, cache: Path
) -> None:
    scanner = await opened(open_scanner, fake, cache)
    (cache / "6" / "vulnerability.db").unlink()
    status, found = await problems(scanner, registry)
    assert status == "fail"
    (problem,) = found
    assert problem["problem_type"] == "MatchingFailed"
    assert f"run `GRYPE_DB_CACHE_DIR={cache} grype db update`" in problem["details"]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("die", "grype failed: killed by signal 9"),
        ("nonsense", "DecodeError"),
    ],
)
async def test_a_grype_that_fails_fails_the_check(
    grype_scanner: Client, registry: FakeRegistry, fake: FakeGrype, mode: str, said: str
) -> None:
    fake.does(mode)
    status, found = await problems(grype_scanner, registry)
    assert status == "fail"
    assert said in found[0]["details"]


async def test_a_grype_that_hangs_fails_the_check(
    open_scanner: Open, registry: FakeRegistry, fake: FakeGrype, cache: Path
) -> None:
    fake.does("hang")
    scanner = await opened(open_scanner, fake, cache, imagegate_scanner_grype_seconds=6.0)
    status, found = await problems(scanner, registry)
    assert status == "fail"
    assert "grype did not end in 6 s" in found[0]["details"]


async def test_a_release_that_nobody_looks_after_is_unavailable(
    grype_scanner: Client, registry: FakeRegistry
) -> None:
    release = b'PRETTY_NAME="Debian GNU/Linux 9 (stretch)"\nID=debian\nVERSION_ID="9"\n'
    content = debian_image("Package: libgcrypt20\nVersion: 1.7.6-2+deb9u3\n", os_release=release)
    reference = await grype_scanner.analysed(registry, content)
    outputs = [row[3] for row in await grype_scanner.rows(reference, content.digest)]
    assert any("not found for distro namespace: debian:9" in one for one in outputs), outputs


async def test_a_scanner_without_grype_says_where_to_get_it(
    open_scanner: Open, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettings, match="no grype on PATH"):
        await open_scanner(path=str(tmp_path), imagegate_scanner_vulnerabilities="grype")


async def test_records_that_grype_does_not_read_are_not_fetched(
    open_scanner: Open, fake: FakeGrype, cache: Path
) -> None:
    with pytest.raises(InvalidSettings, match=r"IMAGEGATE_SCANNER_SYNC is set, .* unset one"):
        await opened(open_scanner, fake, cache, imagegate_scanner_sync=("Debian",))
