"""Debian's Chromium without a window, and everything a page did in it that it should not."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    async_playwright,
)

from tests.functional.console_page.site import TOKEN, Site

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}

# What tells of a violation of the policy, beside the console: in the page before its scripts.
LISTEN = """
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) =>
        window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The browser. Without a sandbox: tests run as root, and the page is our own."""
    path = shutil.which("chromium")
    assert path, "the console's page is tested in chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Tab:
    """One page, and what was seen of it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.complaints: list[str] = []
        """Errors and warnings of its console, exceptions that nobody caught, dialogs."""
        self.hosts: set[str] = set()
        """Where it sent requests."""
        self._site = site
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("request", self._asked)

    async def open(self) -> None:
        """The page, before any log-in."""
        await self.page.goto(f"{self._site.url}/")

    async def log_in(self, token: str = TOKEN) -> None:
        """By the form, as a person."""
        await self.open()
        await self.page.get_by_label("Token").fill(token)
        await self.page.get_by_label("Token").press("Enter")

    async def enter(self) -> None:
        """Log in and wait until the first numbers are there."""
        await self.log_in()
        await self.page.locator("#live[data-state=live]").wait_for()

    async def violations(self) -> list[str]:
        """What the Content-Security-Policy forbade since the page was loaded."""
        found = await self.page.evaluate("window.violations")
        assert isinstance(found, list)
        return found

    async def overflow(self) -> list[str]:
        """What makes the page scroll sideways; empty where it does not."""
        found = await self.page.evaluate(
            """() => {
                const room = document.documentElement.clientWidth;
                if (document.documentElement.scrollWidth <= room) return [];
                return [...document.querySelectorAll('body *')]
                    .filter((node) => node.getBoundingClientRect().right > room + 1)
                    .map((node) => `${node.tagName}.${node.className} ${node.textContent}`);
            }"""
        )
        assert isinstance(found, list)
        return found

    def _said(self, message: ConsoleMessage) -> None:
        # Chromium writes every answer that is an error; which ones may come, a test knows.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)


@asynccontextmanager
async def tab(
    browser: Browser,
    site: Site,
    *,
    viewport: ViewportSize = WIDE,
    theme: Literal["light", "dark"] = "light",
    motion: Literal["reduce", "no-preference"] = "reduce",
    touch: bool = False,
) -> AsyncIterator[Tab]:
    """A tab of a browser that has no cookies yet."""
    context = await browser.new_context(
        viewport=viewport, color_scheme=theme, reduced_motion=motion, has_touch=touch
    )
    try:
        await context.add_init_script(LISTEN)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        yield Tab(page, site)
    finally:
        await context.close()
