"""`imagegate feeds`, a process of its own beside a server of dumps that may do anything."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.scanner.feeds import demonstration
from services.scanner.feeds.folder import FeedFolder
from tests.fakes.files import START, FakeFiles, file_server, stall_after
from tests.fakes.grype import FakeGrype, make_database
from tests.fakes.osv import alpine, cve, debian, dump
from tests.fakes.registry import FakeRegistry
from tests.functional.cli.commands import Ran, Running, imagegate, started
from tests.functional.scanner.conftest import opened_scanner
from tests.waiting import eventually

ALL = ("-e", "Debian", "-e", "Alpine", "-e", "GIT")


class Desk:
    """The command beside one mirror and one state folder."""

    def __init__(self, server: FakeFiles, state: Path) -> None:
        self.server = server
        self.state = state
        self.feeds = state / "scanner" / "feeds"
        server.files = {
            "/Debian/all.zip": dump(*map(debian, range(30))),
            "/Alpine/all.zip": dump(*map(alpine, range(20))),
            "/GIT/all.zip": dump(*map(cve, range(10))),
        }

    @property
    def environ(self) -> dict[str, str]:
        return {"IMAGEGATE_SCANNER_SYNC_URL": self.server.url, "COLUMNS": "160"}

    async def __call__(self, *arguments: str, **environ: str) -> Ran:
        return await imagegate("feeds", *arguments, state=self.state, **(self.environ | environ))

    def running(
        self, *arguments: str, terminal: bool = False
    ) -> AbstractAsyncContextManager[Running]:
        """A sync that can be watched, stopped and killed."""
        wanted = arguments or ALL
        return started(
            "feeds", "sync", *wanted, state=self.state, terminal=terminal, **self.environ
        )

    async def synced(self, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and what became of each ecosystem."""
        ran = await self("sync", "-o", "json", *(arguments or ALL))
        assert ran.out, ran.err
        return ran.code, {row["ecosystem"]: row for row in json.loads(ran.out)}

    async def status(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        ran = await self("status", "-o", "json", *arguments)
        report: dict[str, Any] = json.loads(ran.out)
        return ran.code, report

    async def releases(self) -> dict[str, dict[str, Any]]:
        _, report = await self.status()
        return {row["name"]: row for row in report["releases"]}

    def outcomes(self, rows: dict[str, dict[str, Any]]) -> dict[str, str]:
        return {name: row["outcome"] for name, row in rows.items()}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with file_server() as server:
        yield Desk(server, tmp_path)


async def test_a_sync_makes_a_feed_and_the_next_downloads_nothing(desk: Desk) -> None:
    code, rows = await desk.synced()
    assert (code, desk.outcomes(rows)) == (0, dict.fromkeys(rows, "imported"))
    assert [row["records"] for row in rows.values()] == [30, 20, 10]
    assert {row["as_of"] for row in rows.values()} == {START * 1000}
    code, report = await desk.status()
    assert code == 0
    assert report["scores"] == 10
    assert {one["name"]: one["whole"] for one in report["releases"]} == {
        "alpine:3.22": True,
        "debian:12": True,
    }
    assert {one["as_of"] for one in report["releases"]} == {START * 1000}
    desk.server.asked.clear()
    code, rows = await desk.synced()
    assert (code, desk.outcomes(rows)) == (0, dict.fromkeys(rows, "unchanged"))
    assert all("If-None-Match" in headers for _, headers in desk.server.asked)


async def test_a_mirror_that_lacks_one_says_so(desk: Desk) -> None:
    del desk.server.files["/Alpine/all.zip"]
    ran = await desk("sync", *ALL)
    assert ran.code == 1
    assert "it has no such file" in ran.out
    assert f"the feed in {desk.feeds}" in ran.err
    assert "Debian: 30 records imported, as of 2025-10-09" in ran.err
    assert "Alpine: failed:" in ran.err


@pytest.mark.parametrize("name", ["Debian:12", "debian", "../etc", ""])
async def test_an_ecosystem_that_there_is_none_of_is_refused_by_name(desk: Desk, name: str) -> None:
    ran = await desk("sync", "-e", name)
    assert ran.code == 2
    assert f"there is no ecosystem {name!r}" in ran.err
    assert not desk.server.asked


async def test_an_address_that_is_none_is_refused(desk: Desk) -> None:
    ran = await desk("sync", "--url", "https://user:hunter2@host")
    assert (ran.code, "must not hold credentials" in ran.err) == (2, True)
    assert "hunter2" not in ran.err


async def killed_when(desk: Desk, text: str) -> None:
    """A sync that is killed, with no time to tidy up, when it has printed `text`."""
    async with desk.running() as running:
        await running.printed(text)


async def test_a_kill_in_the_middle_of_a_download_costs_only_what_had_not_come(desk: Desk) -> None:
    desk.server.files["/Debian/all.zip"] = dump(*map(debian, range(3000)))
    whole = len(desk.server.files["/Debian/all.zip"])
    desk.server.faults = [stall_after(whole // 2)]
    part = desk.feeds / "downloads" / "Debian.zip.part"

    async def has_begun() -> bool:
        return part.exists() and part.stat().st_size > 0

    async with desk.running():
        await eventually(has_begun, within=60)
    size = part.stat().st_size
    assert 0 < size < whole
    assert not (desk.feeds / "current").is_symlink()
    desk.server.asked.clear()
    code, rows = await desk.synced()
    assert (code, desk.outcomes(rows)) == (0, dict.fromkeys(rows, "imported"))
    assert desk.server.ranges[0] == f"bytes={size}-"
    assert (await desk.releases())["debian:12"]["records"] == 3000


async def test_a_kill_in_the_middle_of_an_import_leaves_the_feed_that_was_there(
    desk: Desk,
) -> None:
    await desk.synced()
    before = os.readlink(desk.feeds / "current")
    desk.server.files["/Debian/all.zip"] = dump(*map(debian, range(20_000)))
    desk.server.made["/Debian/all.zip"] = START + 60
    await killed_when(desk, "Debian: reads records")
    assert os.readlink(desk.feeds / "current") == before
    assert (await desk.releases())["debian:12"]["records"] == 30

    async def goes_on() -> bool:
        code, _ = await desk.synced()
        return code == 0

    await eventually(goes_on, within=60)
    assert (await desk.releases())["debian:12"]["records"] == 20_000
    assert len(list(desk.feeds.glob("*.sqlite"))) == 1


async def test_ctrl_c_says_what_it_left(desk: Desk) -> None:
    desk.server.faults = [stall_after(1_000)]
    async with desk.running() as running:
        await running.printed("Debian: downloads")
        running.interrupt()
        assert await running.ended() == 130
        await running.printed("stopped: what came is kept: run it again")
    assert "Traceback" not in running.out


async def test_of_two_at_once_the_second_is_told(desk: Desk) -> None:
    second_has_ended = asyncio.Event()

    async def waits(server: FakeFiles, request: web.Request) -> None:
        await second_has_ended.wait()

    desk.server.faults = [waits]
    async with desk.running() as running:
        await eventually(lambda: bool(desk.server.asked), within=60)
        ran = await desk("sync", *ALL)
        assert ran.code == 2
        assert f"another sync into {desk.feeds} is under way" in ran.err
        second_has_ended.set()
        assert await running.ended() == 0


async def test_a_terminal_gets_a_bar(desk: Desk) -> None:
    desk.server.pace = 0.1
    desk.server.files["/Debian/all.zip"] = dump(*map(debian, range(3000)))
    async with desk.running(terminal=True) as running:
        assert await running.ended() == 0
        await running.printed("GIT: 10 records imported")
    assert "Debian downloads" in running.out
    assert "━" in running.out


async def test_import_says_what_it_read(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    file.write_bytes(dump(*map(debian, range(5))))
    ran = await desk("import", str(file), "--whole", "Debian", "--as-of", "2025-11-25")
    assert ran.code == 0, ran.err
    assert "5 records read: a new feed" in ran.out
    assert "--whole" not in ran.err
    ran = await desk("import", str(file))
    assert (ran.code, "import them with --whole" in ran.err) == (0, True)
    await desk("import", str(file), "--whole", "Debian", "--as-of", "2025-11-25")
    code, report = await desk.status()
    assert (code, report["releases"][0]["as_of"]) == (0, 1_764_028_800_000)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.zip",), "missing.zip"),
        (("FILE", "--as-of", "yesterday"), "is no time"),
        (("FILE", "--whole", "Debiann"), "did you mean 'Debian'"),
    ],
)
async def test_what_cannot_be_imported_is_said_with_exit_code_2(
    desk: Desk, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "all.zip"
    file.write_bytes(dump(debian(1)))
    told = [str(file) if one == "FILE" else one for one in arguments]
    ran = await desk("import", *told)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert "Traceback" not in ran.err


async def test_status_without_a_feed_says_what_to_do(desk: Desk) -> None:
    ran = await desk("status")
    assert ran.code == 1
    assert "imagegate feeds sync" in ran.out


async def test_status_of_the_demonstration_says_that_it_is_no_feed(desk: Desk) -> None:
    demonstration.begin(FeedFolder(desk.feeds))
    ran = await desk("status")
    assert (ran.code, "demonstration" in ran.out) == (1, True), ran.out
    code, report = await desk.status()
    assert (code, len(report["problems"])) == (1, 1)
    assert "imagegate feeds sync" in report["problems"][0]
    await desk.synced()
    assert (await desk.status())[0] == 0


async def test_status_of_a_server_says_what_the_server_says_is_wrong(
    desk: Desk, tmp_path: Path
) -> None:
    async with (
        FakeRegistry() as registry,
        opened_scanner(registry, tmp_path / "server") as scanner,
    ):
        told = {"ANCHORE_URL": scanner.url}
        ran = await desk("status", "--server", **told)
        assert (ran.code, "demonstration feed of a few packages" in ran.out) == (1, True), ran
        await desk("sync", *ALL, "--folder", str(scanner.folder / "feeds"))
        ran = await desk("status", "--server", **told)
        assert (ran.code, "demonstration" in ran.out) == (0, False), ran


async def test_status_is_for_monitoring(desk: Desk) -> None:
    desk.server.made = dict.fromkeys(desk.server.files, 1)
    await desk.synced()
    ran = await desk("status", "--max-age", "2d")
    assert ran.code == 1
    assert "older than 48 h: " in ran.out
    assert (await desk("status")).code == 0
    assert (await desk("status", "--max-age", "2 weeks")).code == 2


async def test_the_folder_may_be_another(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "usb"
    ran = await desk("sync", "-e", "Alpine", "--folder", str(other))
    assert (ran.code, f"the feed in {other}" in ran.err) == (0, True)
    ran = await desk("status", "--folder", str(other))
    assert (ran.code, "alpine:3.22" in ran.out) == (0, True)
    ran = await desk("status", IMAGEGATE_SCANNER_FEED=str(other))
    assert "alpine:3.22" in ran.out


async def test_status_tells_of_grype_where_the_scanner_asks_grype(
    desk: Desk, tmp_path: Path
) -> None:
    fake, cache = FakeGrype(tmp_path / "bin"), tmp_path / "cache"
    told = {
        "IMAGEGATE_SCANNER_VULNERABILITIES": "grype",
        "IMAGEGATE_SCANNER_GRYPE_CACHE": str(cache),
        "PATH": f"{fake.folder}:{os.environ['PATH']}",
    }
    ran = await desk("status", **told)
    assert (ran.code, f"grype data of the folder {cache}" in ran.out) == (1, True), ran.err
    make_database(cache)
    ran = await desk("status", "-o", "json", **told)
    report = json.loads(ran.out)
    assert report["source"] == "grype"
    assert report["as_of"] == 1_795_586_400_000
    assert "debian:12" in {one["name"] for one in report["releases"]}
    ran = await desk("status", "--max-age", "1h", **told)
    assert (ran.code, "older than 1 h: " in ran.out) == (1, True)


async def test_without_the_grype_that_was_named_status_says_so(desk: Desk, tmp_path: Path) -> None:
    ran = await desk("status", IMAGEGATE_SCANNER_VULNERABILITIES="grype", PATH=str(tmp_path))
    assert (ran.code, "grype" in ran.err) == (2, True)


async def test_who_gives_records_to_a_scanner_that_asks_grype_is_told(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    file.write_bytes(dump(debian(1)))
    ran = await desk("import", str(file), IMAGEGATE_SCANNER_VULNERABILITIES="grype")
    assert (ran.code, "the scanner here does not read it" in ran.err) == (0, True), ran.err
