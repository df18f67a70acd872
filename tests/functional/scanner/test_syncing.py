"""What a sync makes of the dumps of a mirror: downloads and imports are the real ones."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.imports import Imports
from services.scanner.feeds.state import FeedBusy, ReleaseState
from services.scanner.feeds.syncing import (
    DEFAULT,
    Synced,
    Syncing,
    Unwatched,
    checked_base,
    checked_ecosystems,
)
from shared.adapters.downloads.client import HttpDownloads
from shared.adapters.downloads.limits import Limits
from shared.domain.errors import InvalidSettings
from shared.runtime.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.files import START, FakeFiles, cut_after, file_server, status
from tests.fakes.osv import alpine, cve, debian, dump
from tests.waiting import eventually

ALL = ("Debian", "Alpine", "GIT")
LIMITS = Limits(connect=20.0, stall=20.0, backoff=0.001)


class Site:
    """A mirror and a folder."""

    def __init__(self, server: FakeFiles, folder: Path) -> None:
        self.server = server
        self.feeds = folder / "feeds"
        server.files = {
            "/Debian/all.zip": dump(*map(debian, range(30))),
            "/Alpine/all.zip": dump(*map(alpine, range(20))),
            "/GIT/all.zip": dump(*map(cve, range(10))),
        }

    def syncing(self, *, now: int | None = None) -> Syncing:
        clock = SystemClock() if now is None else FakeClock(now=now)
        return Syncing(
            downloads=HttpDownloads(clock=clock, limits=LIMITS),
            imports=Imports(self.feeds, memory=2 * 1024**3),
            clock=clock,
            base=self.server.url,
        )

    async def sync(self, *ecosystems: str, now: int | None = None) -> dict[str, Synced]:
        synced = await self.syncing(now=now).sync(ecosystems or ALL)
        return {one.ecosystem: one for one in synced}

    def releases(self) -> dict[str, ReleaseState]:
        state = FeedFolder(self.feeds).state()
        return {one.name: one for one in state.releases} if state else {}


def outcomes(synced: dict[str, Synced]) -> dict[str, str]:
    return {name: one.outcome for name, one in synced.items()}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with file_server() as server:
        yield Site(server, tmp_path)


async def test_only_what_changed_is_imported_again(site: Site) -> None:
    await site.sync()
    site.server.files["/Alpine/all.zip"] = dump(*map(alpine, range(25)))
    site.server.made["/Alpine/all.zip"] = START + 3600
    assert outcomes(await site.sync()) == {
        "Debian": "unchanged",
        "Alpine": "imported",
        "GIT": "unchanged",
    }
    releases = site.releases()
    assert releases["alpine:3.22"].records == 25
    assert releases["alpine:3.22"].as_of == (START + 3600) * 1000
    assert releases["debian:12"].as_of == START * 1000


@pytest.mark.parametrize("broken", [b"no archive", dump(debian(1))[:-30], b""])
async def test_one_that_fails_does_not_lose_the_others_nor_what_was_known_of_it(
    site: Site, broken: bytes
) -> None:
    await site.sync()
    site.server.files["/Debian/all.zip"] = broken
    site.server.files["/Alpine/all.zip"] = dump(*map(alpine, range(21)))
    synced = await site.sync()
    assert outcomes(synced) == {"Debian": "failed", "Alpine": "imported", "GIT": "unchanged"}
    assert "Debian.zip" in synced["Debian"].reason
    releases = site.releases()
    assert (releases["debian:12"].records, releases["alpine:3.22"].records) == (30, 21)
    site.server.files["/Debian/all.zip"] = dump(*map(debian, range(31)))
    assert outcomes(await site.sync("Debian")) == {"Debian": "imported"}


async def test_a_dump_older_than_the_feed_does_not_replace_it(site: Site) -> None:
    await site.sync("Debian")
    site.server.files["/Debian/all.zip"] = dump(debian(1))
    site.server.made["/Debian/all.zip"] = START - 60
    synced = await site.sync("Debian")
    assert synced["Debian"].outcome == "unchanged"
    assert synced["Debian"].reason == "the feed is newer than this dump"
    assert site.releases()["debian:12"].records == 30


async def test_another_dump_of_the_same_second_does(site: Site) -> None:
    await site.sync("Debian")
    site.server.files["/Debian/all.zip"] = dump(debian(1))
    assert outcomes(await site.sync("Debian")) == {"Debian": "imported"}
    assert site.releases()["debian:12"].records == 1


async def test_a_mirror_whose_clock_is_ahead_makes_nothing_newer_than_now(site: Site) -> None:
    now = START * 1000 - 5_000
    synced = await site.sync("Debian", now=now)
    assert synced["Debian"].as_of == now
    assert site.releases()["debian:12"].as_of == now


async def test_a_feed_that_was_taken_away_is_made_again_without_a_download(site: Site) -> None:
    await site.sync()
    for path in site.feeds.glob("*"):
        if path.name == "current" or path.suffix == ".sqlite":
            path.unlink()
    site.server.asked.clear()
    assert outcomes(await site.sync()) == dict.fromkeys(ALL, "imported")
    assert all("If-None-Match" in headers for _, headers in site.server.asked)
    assert len(site.releases()) == 2


async def test_downloads_that_were_taken_away_come_once_more(site: Site) -> None:
    await site.sync("Debian")
    for path in (site.feeds / "downloads").iterdir():
        path.unlink()
    assert outcomes(await site.sync("Debian")) == {"Debian": "imported"}


async def test_a_server_that_is_away_for_a_moment_is_no_failure(site: Site) -> None:
    site.server.faults = [status(503), cut_after(100)]
    assert outcomes(await site.sync("Debian")) == {"Debian": "imported"}


async def test_scores_are_taken_from_the_records_that_name_no_package(site: Site) -> None:
    await site.sync("GIT")
    state = FeedFolder(site.feeds).state()
    assert state is not None
    assert state.scores == 10


async def test_who_looks_on_is_told_of_each_step(site: Site) -> None:
    class Looking(Unwatched):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def downloading(self, ecosystem: str, had: int, of: int | None) -> None:
            self.seen.append(f"{ecosystem} downloads")

        def importing(self, ecosystem: str, step: str, done: int, total: int) -> None:
            self.seen.append(f"{ecosystem} {step}")

        def over(self, synced: Synced) -> None:
            self.seen.append(f"{synced.ecosystem} {synced.outcome}")

    looking = Looking()
    await site.syncing().sync(("Debian",), watching=looking)
    assert list(dict.fromkeys(looking.seen)) == [
        "Debian downloads",
        "Debian read",
        "Debian build",
        "Debian check",
        "Debian imported",
    ]


async def test_of_two_at_once_the_second_is_told(site: Site) -> None:
    both = asyncio.Event()

    async def waits(_: FakeFiles, __: web.Request) -> None:
        await both.wait()

    site.server.faults = [waits]
    first = asyncio.create_task(site.sync("Debian"))
    await eventually(lambda: bool(site.server.asked))
    with pytest.raises(FeedBusy, match="another sync into"):
        await site.sync("Alpine")
    both.set()
    assert outcomes(await first) == {"Debian": "imported"}


def test_default_stands_for_what_images_are_built_on() -> None:
    assert checked_ecosystems(("default", "PyPI", "Debian")) == (*DEFAULT, "PyPI")


@pytest.mark.parametrize("name", ["Debian:12", "debian", "../etc", "", "[EMPTY]", "Android"])
def test_an_ecosystem_that_images_are_not_asked_about_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettings, match="there is no ecosystem"):
        checked_ecosystems((name,))


@pytest.mark.parametrize(
    "url",
    ["ftp://host", "https://", "host/path", "https://host/?x=1", "https://host/#x", "https://["],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettings, match="must be https://HOST/PATH"):
        checked_base(url)


def test_an_address_may_have_a_path_and_names_may_have_spaces() -> None:
    base = checked_base("https://mirror.corp:8443/osv/")
    assert str(base / "Red Hat" / "all.zip") == "https://mirror.corp:8443/osv/Red%20Hat/all.zip"
