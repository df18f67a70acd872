"""A console with nothing in it yet; one browser for all tests, a profile for each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.functional.console_page.browser import Tab, chromium, tab
from tests.functional.console_page.site import Site, served


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=30_000)
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="package")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(Site(tmp_path)) as serving:
        yield serving


@pytest_asyncio.fixture(loop_scope="package")
async def watched(browser: Browser, site: Site) -> AsyncIterator[Tab]:
    """A wide tab; whatever the page did that it should not fails the test."""
    async with tab(browser, site) as opened:
        yield opened
        assert opened.complaints == []
        assert await opened.violations() == []
