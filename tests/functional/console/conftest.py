"""A real console over in-process adapters, asked by a real client."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.functional.console_page.site import Site, served


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(Site(tmp_path)) as site:
        yield site


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    # An address is no host name: cookies are kept for it only when that is asked for.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session
