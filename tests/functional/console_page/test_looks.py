"""Both themes, every width, without a mouse."""

import pytest
from playwright.async_api import Browser, expect

from tests.functional.console_page.browser import PHONE, Tab, tab
from tests.functional.console_page.contrast import too_faint
from tests.functional.console_page.entries import decision
from tests.functional.console_page.scene import Scene
from tests.functional.console_page.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")

LIGHT = "rgb(245, 244, 240)"
DARK = "rgb(21, 24, 27)"
PAPER = "getComputedStyle(document.documentElement).backgroundColor"


async def live(site: Site) -> None:
    """Ordinary life: all sections have something to show."""
    scene = Scene(site, began=site.clock.now() - 700_000)
    await scene.move(site.clock.now())
    await scene.fill(now=site.clock.now())


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_text_can_be_read_in_both_themes(
    browser: Browser, site: Site, theme: str
) -> None:
    await live(site)
    async with tab(browser, site, theme="dark" if theme == "dark" else "light") as watched:
        await watched.open()
        await watched.page.get_by_label("Token").wait_for()
        assert await too_faint(watched.page) == []
        await watched.log_in("a-wrong-token-for-its-error")
        await expect(watched.page.get_by_role("alert")).to_have_text("That is not the token.")
        assert await too_faint(watched.page) == []

        await watched.enter()
        await watched.page.locator("#verdicts-list .item").first.wait_for()
        for name in ("decisions", "verdicts", "dead", "processes"):
            await watched.page.locator(f"#{name}-list summary").nth(1).click()
        await watched.page.locator("#attention summary").click()
        await watched.page.locator("#dead-list code").wait_for()
        assert await too_faint(watched.page) == []

        site.queue.away = "RabbitMQ at 192.0.2.7: connection refused"
        await expect(watched.page.locator("#lanes")).to_have_class("old")
        assert await too_faint(watched.page) == []


@pytest.mark.parametrize("width", [PHONE["width"], 768, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_no_width_scrolls_sideways(
    browser: Browser, site: Site, width: int, theme: str
) -> None:
    await live(site)
    async with tab(
        browser,
        site,
        viewport={"width": width, "height": 800},
        theme="dark" if theme == "dark" else "light",
        touch=width < 700,
    ) as watched:
        await watched.open()
        assert await watched.overflow() == []
        await watched.enter()
        await watched.page.locator("#verdicts-list .item").first.wait_for()
        assert await watched.overflow() == []
        for name in ("decisions", "verdicts", "dead", "processes"):
            await watched.page.locator(f"#{name}-list summary").first.click()
        await watched.page.locator("#attention summary").click()
        await watched.page.locator("#dead-list code").wait_for()
        assert await watched.overflow() == []
        assert watched.complaints == []
        assert await watched.violations() == []


async def test_the_theme_follows_the_system_until_one_is_chosen(
    browser: Browser, site: Site
) -> None:
    async with tab(browser, site, theme="dark") as watched:
        await watched.enter()
        assert await watched.page.evaluate(PAPER) == DARK
        await watched.page.emulate_media(color_scheme="light")
        assert await watched.page.evaluate(PAPER) == LIGHT

        await watched.page.get_by_label("Theme").select_option("dark")
        assert await watched.page.evaluate(PAPER) == DARK
        # It is kept, and set by a script that runs before the first paint.
        await watched.page.reload(wait_until="commit")
        await watched.page.wait_for_selector("body", state="attached")
        assert await watched.page.evaluate(PAPER) == DARK
        await watched.page.locator("#live[data-state=live]").wait_for()
        await expect(watched.page.get_by_label("Theme")).to_have_value("dark")

        await watched.page.get_by_label("Theme").select_option("auto")
        assert await watched.page.evaluate(PAPER) == LIGHT


async def test_from_the_log_in_to_a_search_without_a_mouse(site: Site, watched: Tab) -> None:
    await live(site)
    await watched.open()
    keyboard = watched.page.keyboard
    await watched.page.get_by_label("Token").wait_for()
    await keyboard.type("the-token-of-these-tests-0123456789")
    await keyboard.press("Enter")
    await watched.page.locator("#verdicts-list .item").first.wait_for()

    await tab_to(watched, "verdicts-image")
    await keyboard.type("registry.example.com/lab/toolbox")
    await keyboard.press("Enter")
    await expect(watched.page.locator("#verdicts-list .item")).to_have_count(1)
    # Past the button, into the row, and open it.
    await keyboard.press("Tab")
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(watched.page.locator("#verdicts-list .details")).to_contain_text("openssh-server")


async def tab_to(watched: Tab, element: str) -> None:
    """Press Tab until that element has the focus; each one on the way shows it."""
    for _ in range(80):
        await watched.page.keyboard.press("Tab")
        shown = await watched.page.evaluate(
            """() => {
                const focused = document.activeElement;
                // The page itself has it where a row that had it was drawn anew.
                const seen = focused === document.body || [focused, focused.nextElementSibling]
                    .filter(Boolean).some((each) => getComputedStyle(each).outlineStyle !== 'none');
                return [focused.id, seen];
            }"""
        )
        assert shown[1], f"the focus on {shown[0]!r} is not seen"
        if shown[0] == element:
            return
    pytest.fail(f"no Tab reaches {element}")


async def test_every_control_has_a_name_and_every_section_a_heading(
    site: Site, watched: Tab
) -> None:
    await live(site)
    await watched.enter()
    await watched.page.locator("#verdicts-list .item").first.wait_for()

    nameless = await watched.page.evaluate(
        """() => [...document.querySelectorAll('#console *')]
            .filter((each) => each.matches('input, select, button, a, [role=slider]'))
            .filter((each) => !(each.labels?.length || each.getAttribute('aria-label')
                || each.textContent.trim()))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    for heading in ("Parts", "Lanes", "Decisions", "Verdicts", "Dead letters", "Processes"):
        region = watched.page.get_by_role("region", name=heading, exact=True)
        await expect(region).to_have_count(1)


async def test_nothing_moves_by_itself_where_motion_is_not_wanted(
    browser: Browser, site: Site
) -> None:
    moving = """() => document.getAnimations().length
        + (getComputedStyle(document.documentElement).scrollBehavior === 'smooth' ? 1 : 0)"""
    for motion, expected in (("reduce", 0), ("no-preference", 2)):
        async with tab(
            browser, site, motion="reduce" if motion == "reduce" else "no-preference"
        ) as watched:
            await watched.enter()
            await site.stop()
            await expect(watched.page.locator("#live")).to_have_text("reconnecting")
            assert await watched.page.evaluate(moving) == expected, motion
            await site.start()


async def test_a_finger_opens_a_row_and_nothing_pauses_behind_it(
    browser: Browser, site: Site
) -> None:
    at = site.clock.now()
    await site.decisions.write([decision(number, at=at) for number in range(3)])
    async with tab(browser, site, viewport=PHONE, touch=True) as watched:
        await watched.enter()
        row = watched.page.locator("#decisions-list .item").first
        await row.locator("summary").tap()
        await expect(row.locator(".details")).to_be_visible()
        await expect(watched.page.locator("#decisions")).to_have_class("paused")

        await row.locator("summary").tap()
        await site.decisions.write([decision(7, at=at)])
        await expect(watched.page.locator("#decisions-list .item").first).to_contain_text("pod-7")
