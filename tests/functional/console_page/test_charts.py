"""The charts: nothing yet, gaps, and the value of a moment by pointer, finger and key."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from shared.domain.step import Lane
from shared.ports.steps import LaneDepth
from tests.functional.console_page.browser import PHONE, Tab, tab
from tests.functional.console_page.site import Site, depths, served

pytestmark = pytest.mark.asyncio(loop_scope="package")

DEPTH = "[data-lane=admission] figure[data-chart=depth]"


async def drawn(chart: Locator) -> str:
    return await chart.locator(".line").get_attribute("d") or ""


async def test_without_data_a_chart_says_so_and_has_its_axes(
    browser: Browser, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    site.queue.away = "RabbitMQ is away"
    async with served(site), tab(browser, site) as watched:
        await watched.enter()

        chart = watched.page.locator(DEPTH)
        await expect(chart.locator(".empty")).to_be_visible()
        await expect(chart.locator(".tick")).to_have_text(
            ["10", "0", "−15 min", "−10", "−5", "now"]
        )
        assert await drawn(chart) == ""

        site.queue.away = ""
        await expect(chart.locator(".empty")).to_be_hidden()


async def test_where_nothing_waits_the_chart_of_ages_says_so(watched: Tab) -> None:
    await watched.enter()

    empty = watched.page.locator("[data-lane=check] figure[data-chart=age] .empty")
    await expect(empty).to_have_text("nothing was waiting")


async def test_the_axis_grows_with_what_is_drawn(site: Site, watched: Tab) -> None:
    await watched.enter()
    top = watched.page.locator(DEPTH).locator(".tick").first
    await expect(top).to_have_text("10")

    busy = LaneDepth(lane=Lane.ADMISSION, ready=4_321, consumers=1)
    site.queue.shown = depths(admission=busy)
    site.claims.shown = {Lane.ADMISSION: site.clock.now() - 5_000_000}
    await expect(top).to_have_text("5,000")
    age = watched.page.locator("[data-lane=admission] figure[data-chart=age] .tick").first
    await expect(age).to_have_text("2 h")


@pytest_asyncio.fixture(loop_scope="package")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One that never saw another depth than 7."""
    of_seven = Site(tmp_path)
    of_seven.queue.shown = depths(ready=7)
    async with served(of_seven) as serving:
        yield serving


async def test_a_pointer_marks_one_moment_in_every_chart(watched: Tab) -> None:
    await watched.enter()
    chart = watched.page.locator(DEPTH)
    await expect(chart.locator(".empty")).to_be_hidden()
    box = await chart.locator("svg").bounding_box()
    assert box

    await chart.locator("svg").hover(position={"x": box["width"] - 9, "y": 30})
    await expect(chart.locator(".value")).to_have_text("7 steps")
    other = watched.page.locator("[data-lane=check] figure[data-chart=depth] .value")
    await expect(other).to_have_text("7 steps")
    await expect(watched.page.locator("#lanes-aside")).to_have_text(
        re.compile(r"at \d\d:\d\d:\d\d, ")
    )

    await chart.locator("svg").hover(position={"x": 60, "y": 30})
    await expect(chart.locator(".value")).to_have_text("not known")
    await watched.page.mouse.move(5, 5)
    await expect(chart.locator(".value")).to_be_hidden()


async def test_keys_go_through_the_past_and_say_it_in_words(watched: Tab) -> None:
    await watched.enter()
    lane = watched.page.get_by_role("slider", name="admission: a moment of its charts")
    await lane.focus()
    await expect(lane).to_have_attribute(
        "aria-valuetext", re.compile(r"^now: depth 7 steps, rate ")
    )

    await lane.press("Home")
    await expect(lane).to_have_attribute("aria-valuenow", "-900")
    await expect(lane).to_have_attribute("aria-valuetext", re.compile("nobody looked$"))
    await lane.press("End")
    await expect(lane).to_have_attribute("aria-valuetext", re.compile(r": depth 7 steps, "))
    await lane.press("Escape")
    await expect(watched.page.locator(DEPTH).locator(".value")).to_be_hidden()


async def test_on_a_phone_one_chart_is_chosen_for_all_lanes_and_a_tap_marks_it(
    browser: Browser, site: Site
) -> None:
    async with tab(browser, site, viewport=PHONE, touch=True) as watched:
        await watched.enter()
        depth = watched.page.locator(DEPTH)
        await expect(depth).to_be_visible()
        box = await depth.locator("svg").bounding_box()
        assert box
        await watched.page.touchscreen.tap(box["x"] + box["width"] - 9, box["y"] + 30)
        await expect(depth.locator(".value")).to_have_text("7 steps")

        await watched.page.get_by_text("age", exact=True).tap()
        await expect(depth).to_be_hidden()
        await expect(
            watched.page.locator("[data-lane=admission] figure[data-chart=age]")
        ).to_be_visible()


RUNS = """async ([points, width]) => {
    const { runs } = await import('/static/series.js');
    return runs(points.map(([at, value]) => ({ at, value })), width)
        .map((run) => run.map(({ value }) => value));
}"""


@pytest.mark.parametrize(
    ("points", "width", "expected"),
    [
        pytest.param([], 1000, [], id="nothing"),
        pytest.param([[0, 5]], 1000, [[5]], id="one point"),
        pytest.param([[0, 1], [1000, None], [2000, 3]], 1000, [[1], [3]], id="not known between"),
        pytest.param([[0, 1], [10_000, 2]], 1000, [[1, 2]], id="nobody watched: one in 10 s"),
        pytest.param([[0, 1], [60_000, 2]], 1000, [[1], [2]], id="nobody looked for a minute"),
        pytest.param(
            [[0, 1], [1000, 9], [2000, 1], [3000, 2]], 2000, [[9, 2]], id="a peak stays in sight"
        ),
    ],
)
async def test_a_line_has_gaps_where_nothing_is_known(
    watched: Tab, points: list[list[int | None]], width: int, expected: list[list[int]]
) -> None:
    await watched.open()

    assert await watched.page.evaluate(RUNS, [points, width]) == expected


async def test_axes_end_in_round_numbers(watched: Tab) -> None:
    await watched.open()
    tops = await watched.page.evaluate(
        """async () => {
            const { niceTop, niceSeconds } = await import('/static/series.js');
            return [[0, 1, 10, 11, 201, 0.3].map((n) => niceTop(n, 1)),
                    [0, 11, 61, 5000, 2e6].map((n) => niceSeconds(n, 10))];
        }"""
    )

    assert tops == [[1, 1, 10, 20, 500, 1], [10, 30, 120, 7200, 2_419_200]]
