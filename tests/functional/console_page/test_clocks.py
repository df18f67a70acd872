"""Time: another clock than the page's, lanes that only grow older, a connection that hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from shared.domain.step import Lane
from tests.functional.console_page.browser import tab
from tests.functional.console_page.entries import decision
from tests.functional.console_page.scene import PastClock
from tests.functional.console_page.site import Site, depths, served

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_times_are_told_by_the_console_s_clock(browser: Browser, tmp_path: Path) -> None:
    site = Site(tmp_path, clock=PastClock())
    await site.decisions.write([decision(1, at=site.clock.now() - 300_000)])
    async with served(site), tab(browser, site) as watched:
        await watched.enter()

        when = watched.page.locator("#decisions-list .when")
        await expect(when).to_have_text("5 min ago")


async def test_a_lane_whose_oldest_only_grows_older_stands_out(
    browser: Browser, tmp_path: Path
) -> None:
    clock = PastClock()
    site = Site(tmp_path, clock=clock)
    site.queue.shown = depths(ready=1)
    began = clock.now()
    site.claims.shown = {Lane.ADMISSION: began - 10_000, Lane.CHECK: began}
    async with served(site), tab(browser, site) as watched:
        await watched.enter()
        lane = watched.page.locator("[data-lane=admission]")
        said = lane.get_by_text("the oldest step only grows older")
        await expect(said).to_be_hidden()

        for _ in range(8):
            clock.advance(12_000)
            await watched.page.wait_for_timeout(400)
        await expect(said).to_be_visible()
        await expect(watched.page.locator("#attention-text")).to_have_text(
            "The oldest step of admission only grows older: workers are there, but nothing moves."
        )
        # Analyses take minutes: there the same age is nothing to speak of.
        await expect(watched.page.locator("[data-lane=check] .lane-trouble")).to_be_hidden()

        site.claims.shown = {Lane.ADMISSION: clock.now() - 1_000}
        await expect(said).to_be_hidden()


async def test_a_stream_that_hangs_is_known_to_be_lost_and_opened_again(
    browser: Browser, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    site.queue.shown = depths(ready=1)
    async with served(site), _way(site) as way, tab(browser, site) as watched:
        await watched.page.clock.install()
        await watched.enter()
        way.clear()
        await watched.page.wait_for_timeout(500)
        await expect(watched.page.locator("#live")).to_have_text("live")

        await watched.page.clock.fast_forward(25_000)
        await expect(watched.page.locator("#live")).to_have_text("reconnecting")

        site.queue.shown = depths(ready=2)
        way.set()
        await expect(watched.page.locator("[data-lane=check] [data-number=ready]")).to_have_text(
            "2"
        )
        await expect(watched.page.locator("#live")).to_have_text("live")


@asynccontextmanager
async def _way(site: Site) -> AsyncIterator[asyncio.Event]:
    """A way to the site that lets nothing through while the event is not set; `site.url` is it."""
    opened = asyncio.Event()
    opened.set()
    host, port = site.url.removeprefix("http://").split(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await opened.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_site, from_site = await asyncio.open_connection(host, int(port))
        await asyncio.gather(forward(reader, from_site), forward(to_site, writer))

    async with await asyncio.start_server(taken, host, 0) as server:
        bound = server.sockets[0].getsockname()[1]
        before, site.url = site.url, f"http://{host}:{bound}"
        try:
            yield opened
        finally:
            opened.set()
            site.url = before
