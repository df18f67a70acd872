"""All text comes from outside: none of it runs, hides, or breaks the page."""

import re

import pytest
from playwright.async_api import expect

from shared.domain.step import Lane
from tests.functional.console_page import hostile
from tests.functional.console_page.browser import PHONE, WIDE, Tab
from tests.functional.console_page.site import Site, depths

pytestmark = pytest.mark.asyncio(loop_scope="package")

LISTS = ("decisions", "verdicts", "dead", "processes")


async def open_all(watched: Tab) -> None:
    """Show and open every row of every list."""
    page = watched.page
    for name in LISTS:
        await page.locator(f"#{name}-list .item").first.wait_for()
        more = page.locator(f"#{name}-more")
        while await more.count() and await more.is_visible():
            await more.click()
    await page.evaluate(
        "() => document.querySelectorAll('details').forEach((each) => { each.open = true; })"
    )
    await expect(page.get_by_text("fetching …")).to_have_count(0)
    await page.evaluate(
        """() => [...document.querySelectorAll('.item button')]
            .filter((each) => each.textContent.startsWith('Show all'))
            .forEach((each) => each.click())"""
    )


async def test_texts_that_hurt_are_shown_and_do_nothing(site: Site, watched: Tab) -> None:
    await hostile.fill(site, now=site.clock.now())
    await watched.enter()
    await open_all(watched)
    site.queue.away = hostile.TEXTS[1]
    await expect(watched.page.locator("#attention")).to_contain_text(hostile.TEXTS[1])

    assert await watched.page.evaluate("window.hurt") is None
    made = "script, iframe, object, [onerror], [onload], [href^=javascript], img:not(.brand *)"
    assert await watched.page.locator(f"#console :is({made})").count() == 0
    shown = await watched.page.locator("#console").inner_text()
    for text in ("<script>window.hurt = 1</script>", "\\x1b[31mred", "harmless\\u202egnp.exe"):
        assert text in shown
    whole = await watched.page.locator("#console").evaluate("(node) => node.textContent")
    assert [character for character in hostile.RAW if character in whole] == []
    assert watched.hosts == {site.url.removeprefix("http://")}


async def test_no_text_is_so_long_that_the_page_scrolls_sideways(site: Site, watched: Tab) -> None:
    await hostile.fill(site, now=site.clock.now())
    await watched.enter()
    await open_all(watched)

    for width in (PHONE["width"], 768, 1000, 1100, WIDE["width"], 1920):
        await watched.page.set_viewport_size({"width": width, "height": 800})
        assert await watched.overflow() == [], width


async def test_what_is_unseen_in_a_text_is_marked(site: Site, watched: Tab) -> None:
    await hostile.fill(site, now=site.clock.now())
    await watched.enter()

    marks = watched.page.locator("#decisions-list .unseen")
    await expect(marks.filter(has_text="\\u202e").first).to_be_visible()
    assert "\\x1b" in await marks.all_inner_texts()


async def test_ten_thousand_of_everything_are_counted_and_a_few_are_drawn(
    site: Site, watched: Tab
) -> None:
    now = site.clock.now()
    await site.decisions.write([hostile._decision(f"text {n}", now) for n in range(10_000)])
    for number in range(10_000):
        site.queue.dead.add(Lane.CHECK, b"{}")
        await site.put(hostile._verdict(f"registry.example.com/app-{number}", now))
    for number in range(1_000):
        await site.presence.beat(hostile._beat("worker", number, now))
    site.queue.shown = depths(ready=1_234_567, dead=10_000)
    await watched.enter()

    page = watched.page
    await expect(page.locator("#dead-count")).to_have_text(
        re.compile("10\u202f000\\s*dead letters")
    )
    await expect(page.locator("#dead-aside")).to_have_text("the oldest 200 of 10\u202f000")
    await expect(page.locator("[data-lane=check] [data-number=ready]")).to_have_text(
        "1\u202f234\u202f567"
    )
    await expect(page.locator("#processes-aside")).to_contain_text("1\u202f000 processes alive")
    await page.get_by_label("Filter decisions").fill("text 8123")
    await expect(page.locator("#decisions-list .item")).to_have_count(1)
    assert await page.evaluate("document.querySelectorAll('*').length") < 12_000
    assert await watched.overflow() == []
