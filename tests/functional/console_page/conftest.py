"""A console with nothing in it yet, and a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.functional.console_page.browser import Tab, chromium, tab
from tests.functional.console_page.site import Site, served


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(Site(tmp_path)) as serving:
        yield serving


@pytest.fixture
async def watched(browser: Browser, site: Site) -> AsyncIterator[Tab]:
    """A wide tab; whatever the page did that it should not fails the test."""
    async with tab(browser, site) as opened:
        yield opened
        assert opened.complaints == []
        assert await opened.violations() == []
