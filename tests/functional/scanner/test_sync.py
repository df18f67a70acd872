"""The scanner's own sync: beside its answers, without ever stopping them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret
from tests.fakes.files import FakeFiles, file_server, status
from tests.fakes.osv import cve, debian, dump
from tests.fakes.registry import FakeRegistry
from tests.functional.cli.commands import imagegate
from tests.functional.scanner.conftest import Client, Open, opened_scanner
from tests.waiting import eventually

SYNC = ("Debian", "GIT")


@pytest.fixture
async def mirror() -> AsyncIterator[FakeFiles]:
    async with file_server() as server:
        server.files = {
            "/Debian/all.zip": dump(*map(debian, range(300))),
            "/GIT/all.zip": dump(*map(cve, range(300))),
        }
        yield server


async def groups(scanner: Client) -> dict[str, dict[str, Any]]:
    code, body = await scanner.get("/v1/system/feeds")
    assert code == 200
    return {group["name"]: group for group in body[0]["groups"]}


def synced(scanner: Client, records: int) -> Any:
    async def has_them() -> bool:
        found = (await groups(scanner)).get("debian:12", {})
        return bool(found.get("record_count") == records)

    return has_them


async def test_a_scanner_fetches_its_feed_and_answers_meanwhile(
    open_scanner: Open, mirror: FakeFiles, tmp_path: Path
) -> None:
    mirror.pace = 0.1
    scanner = await open_scanner(imagegate_scanner_sync=SYNC, imagegate_scanner_sync_url=mirror.url)
    assert (await scanner.get("/health"))[0] == 200
    await eventually(synced(scanner, 300), within=60)
    found = (await groups(scanner))["debian:12"]
    assert found["last_sync"].startswith("2025-10-09")
    assert found["covered_packages"] is None
    told = {"ANCHORE_URL": scanner.url, "COLUMNS": "160"}
    ran = await imagegate("feeds", "status", "--server", state=tmp_path, **told)
    assert (ran.code, "debian:12" in ran.out, scanner.url in ran.out) == (0, True, True), ran.err
    ran = await imagegate("feeds", "status", "--server", "--max-age", "1d", state=tmp_path, **told)
    assert (ran.code, "older than 24 h: debian:12" in ran.out) == (1, True), ran.err


async def test_a_mirror_that_is_away_stops_nothing(
    open_scanner: Open, mirror: FakeFiles, caplog: pytest.LogCaptureFixture
) -> None:
    mirror.always = status(404)
    scanner = await open_scanner(imagegate_scanner_sync=SYNC, imagegate_scanner_sync_url=mirror.url)

    async def is_said() -> bool:
        said = [one for one in caplog.records if one.getMessage() == "feed sync failed"]
        return len(said) == len(SYNC)

    await eventually(is_said, within=60)
    assert {one.__dict__.get("ecosystem") for one in caplog.records} >= set(SYNC)
    assert (await scanner.get("/v1/status"))[0] == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imagegate_scanner_sync": ("Debain",)}, "IMAGEGATE_SCANNER_SYNC: .* did you mean"),
        (
            {"imagegate_scanner_sync": SYNC, "imagegate_scanner_sync_url": "mirror"},
            "IMAGEGATE_SCANNER_SYNC_URL",
        ),
        (
            {"imagegate_scanner_sync": SYNC, "imagegate_scanner_sync_proxy": Secret("pass@w")},
            "IMAGEGATE_SCANNER_SYNC_PROXY must be",
        ),
        (
            {"imagegate_scanner_sync": SYNC, "imagegate_scanner_sync_ca": Path("/dev/null")},
            "IMAGEGATE_SCANNER_SYNC_CA /dev/null cannot be used",
        ),
    ],
)
async def test_what_it_cannot_be_told_it_refuses_at_its_start(
    open_scanner: Open, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said):
        await open_scanner(**changes)


async def test_a_scanner_that_is_to_ask_nobody_asks_nobody(
    open_scanner: Open, mirror: FakeFiles
) -> None:
    await open_scanner(imagegate_scanner_sync_url=mirror.url)
    await asyncio.sleep(0.3)
    assert mirror.asked == []


async def test_a_scanner_that_stops_in_the_middle_of_an_import_leaves_no_process(
    registry: FakeRegistry, mirror: FakeFiles, tmp_path: Path
) -> None:
    mirror.files["/Debian/all.zip"] = dump(*map(debian, range(8000)))
    told: dict[str, Any] = {
        "imagegate_scanner_sync": SYNC,
        "imagegate_scanner_sync_url": mirror.url,
    }
    async with opened_scanner(registry, tmp_path, **told):
        await eventually(lambda: bool(importers(tmp_path)), within=60)
    assert not importers(tmp_path)


def importers(folder: Path) -> list[int]:
    """Processes that import into a folder below `folder`: their order tells, so their lock does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [one.readlink() for one in (process / "fd").iterdir()]
            command = (process / "cmdline").read_text()
        except OSError:
            continue
        if "import_process" in command and any(one.is_relative_to(folder) for one in files):
            found.append(int(process.name))
    return found
