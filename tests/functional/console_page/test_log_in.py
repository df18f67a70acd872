"""The token is asked for once; the session ends by hand, with the token, or not at all."""

import pytest
from playwright.async_api import expect

from tests.functional.console_page.browser import Tab
from tests.functional.console_page.entries import decision
from tests.functional.console_page.site import Site

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_token_and_enter_lead_to_the_lanes(watched: Tab) -> None:
    await watched.open()
    await expect(watched.page.get_by_label("Token")).to_be_focused()

    await watched.enter()

    await expect(watched.page.get_by_role("heading", name="Lanes")).to_be_visible()
    await expect(watched.page.get_by_label("Token")).to_be_hidden()


async def test_a_wrong_token_is_said_and_the_next_try_is_one_key_away(watched: Tab) -> None:
    await watched.log_in("not-the-token-of-this-console")
    await expect(watched.page.get_by_role("alert")).to_have_text("That is not the token.")
    await expect(watched.page.get_by_label("Token")).to_be_focused()

    await watched.enter()


async def test_without_an_answer_the_log_in_says_so(site: Site, watched: Tab) -> None:
    await watched.open()
    await watched.page.get_by_label("Token").fill("some-token-that-nobody-hears")
    await site.stop()
    await watched.page.get_by_role("button", name="Log in").click()

    await expect(watched.page.get_by_role("alert")).to_have_text("the console does not answer.")


async def test_a_reload_needs_no_token_again(watched: Tab) -> None:
    await watched.enter()
    await watched.page.reload()

    await watched.page.locator("#live[data-state=live]").wait_for()


async def test_after_the_log_out_nothing_of_the_console_is_left(site: Site, watched: Tab) -> None:
    await site.decisions.write([decision(1, at=site.clock.now())])
    await watched.enter()
    await expect(watched.page.locator("#decisions-list .item")).to_have_count(1)
    await watched.page.get_by_role("button", name="Log out").click()

    await expect(watched.page.get_by_label("Token")).to_be_visible()
    await expect(watched.page.locator("#console")).to_be_hidden()
    await expect(watched.page.locator("#decisions-list .item")).to_have_count(0)
    cookies = await watched.page.context.cookies()
    assert cookies == []
    await watched.page.reload()
    await expect(watched.page.get_by_label("Token")).to_be_visible()


async def test_a_session_that_ended_elsewhere_leads_to_the_log_in(watched: Tab) -> None:
    await watched.enter()
    await watched.page.context.clear_cookies()
    await watched.page.get_by_label("Image or digest").fill("nginx")
    await watched.page.get_by_label("Image or digest").press("Enter")

    await expect(watched.page.get_by_label("Token")).to_be_visible()


async def test_the_token_is_kept_nowhere_in_the_page(watched: Tab) -> None:
    await watched.enter()

    kept = await watched.page.evaluate(
        "() => [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage),"
        " document.getElementById('token').value, location.href]"
    )
    assert kept[:4] == ["", "{}", "{}", ""]
    assert "token" not in kept[4]


async def test_before_and_after_the_log_in_only_its_own_host_is_asked(
    watched: Tab, site: Site
) -> None:
    await watched.enter()

    assert watched.hosts == {site.url.removeprefix("http://")}
