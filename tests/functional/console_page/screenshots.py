"""`make screenshots`: the pictures of the README, of a real console over a quarter of an hour.

They look best where the fonts Inter and JetBrains Mono are installed (Debian: fonts-inter,
fonts-jetbrains-mono).
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
from playwright.async_api import Browser, ViewportSize

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.functional.console_page.browser import chromium, tab
from tests.functional.console_page.png import smaller
from tests.functional.console_page.scene import PastClock, Scene
from tests.functional.console_page.site import TOKEN, Site, served

STEP = 5_000
"""Milliseconds of the past between two looks."""

EVERY = 0.05
"""Seconds that such a look takes here."""

FOLDER = Path(__file__).parents[3] / "docs" / "images"

Theme = Literal["light", "dark"]


@asynccontextmanager
async def scene() -> AsyncIterator[Site]:
    """A console that has watched its lanes for a quarter of an hour."""
    clock = PastClock()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        anchore = await stack.enter_async_context(FakeAnchore())
        transport = await stack.enter_async_context(
            AnchoreTransport(url=anchore.url, user="admin", password=anchore.password)
        )
        site = Site(
            Path(folder),
            clock=clock,
            every=EVERY,
            scanner=AnchoreV1(transport=transport, clock=SystemClock()),
        )
        lanes = Scene(site, began=clock.now())
        await lanes.move(clock.now())
        await stack.enter_async_context(served(site))
        await _watch(site, clock, lanes)
        await lanes.fill(now=clock.now())
        moving = asyncio.create_task(_keep_moving(clock, lanes))
        stack.callback(moving.cancel)
        yield site


async def _watch(site: Site, clock: PastClock, lanes: Scene) -> None:
    """Let the quarter of an hour pass, a look at a time."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{site.url}/api/stream") as stream,
    ):
        async for line in stream.content:
            if line == b"event: sample\n":
                present = clock.advance(STEP)
                await lanes.move(clock.now())
                if present:
                    return


async def _keep_moving(clock: PastClock, lanes: Scene) -> None:
    while True:
        await lanes.move(clock.now())
        await asyncio.sleep(0.2)


async def picture(
    browser: Browser, site: Site, path: Path, *, viewport: ViewportSize, theme: Theme, touch: bool
) -> None:
    """One PNG of what a person sees first."""
    async with tab(browser, site, viewport=viewport, theme=theme, touch=touch) as watched:
        await watched.enter()
        await watched.page.locator("#verdicts-list .item").first.wait_for()
        await watched.page.wait_for_timeout(600)
        await watched.page.screenshot(path=path)


async def main(folder: Path) -> None:
    """Both pictures."""
    async with scene() as site, chromium() as browser:
        await picture(
            browser,
            site,
            folder / "console.png",
            viewport={"width": 1440, "height": 1000},
            theme="light",
            touch=False,
        )
        await picture(
            browser,
            site,
            folder / "console-phone.png",
            viewport={"width": 390, "height": 1100},
            theme="dark",
            touch=True,
        )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
    for written in sorted(target.glob("console*.png")):
        written.write_bytes(smaller(written.read_bytes()))
        sys.stdout.write(f"screenshots: {written.name}, {written.stat().st_size // 1024} KiB\n")
