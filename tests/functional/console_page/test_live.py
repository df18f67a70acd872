"""What changes is seen as it changes; what does not answer is said, and since when."""

import re

import pytest
from playwright.async_api import expect

from shared.domain.step import Lane
from shared.ports.presence import Beat
from shared.ports.steps import LaneDepth
from tests.functional.console_page.browser import Tab
from tests.functional.console_page.entries import decision
from tests.functional.console_page.site import Site, depths

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_empty_console_says_what_it_waits_for(watched: Tab) -> None:
    await watched.enter()

    page = watched.page
    await expect(page.locator("#decisions-list")).to_have_text("No review was answered yet.")
    await expect(page.locator("#verdicts-list")).to_have_text("The store knows no verdicts yet.")
    await expect(page.locator("#dead-list")).to_have_text("None: every step was settled.")
    await expect(page.locator("#processes-list")).to_have_text("Nobody was heard lately.")


async def test_numbers_and_decisions_arrive_by_themselves(site: Site, watched: Tab) -> None:
    site.queue.shown = depths()
    await watched.enter()
    ready = watched.page.locator("[data-lane=admission] [data-number=ready]")
    await expect(ready).to_have_text("0")

    busy = LaneDepth(lane=Lane.ADMISSION, ready=42, unacknowledged=3, consumers=2)
    site.queue.shown = depths(admission=busy)
    site.claims.shown = {Lane.ADMISSION: site.clock.now() - 95_000}
    await site.decisions.write([decision(1, at=site.clock.now())])

    await expect(ready).to_have_text("42")
    await expect(watched.page.locator("[data-lane=admission] [data-number=in_hand]")).to_have_text(
        "3"
    )
    await expect(watched.page.locator("[data-lane=admission] [data-number=oldest]")).to_have_text(
        "1 min"
    )
    await expect(watched.page.locator("#decisions-list .item")).to_contain_text("team/Pod/pod-1")


async def test_all_is_well_is_said_in_words(site: Site, watched: Tab) -> None:
    site.queue.shown = depths()
    await watched.enter()

    said = watched.page.locator("#attention-text")
    await expect(said).to_have_text("Everything answers, and every lane has workers.")
    await expect(watched.page).to_have_title("imagegate console")


async def test_a_lane_without_workers_stands_out(site: Site, watched: Tab) -> None:
    site.queue.shown = depths(check=LaneDepth(lane=Lane.CHECK, ready=7, consumers=0))
    await watched.enter()

    lane = watched.page.locator("[data-lane=check]")
    await expect(lane.get_by_text("no worker takes these steps")).to_be_visible()
    await expect(watched.page.get_by_role("status").first).to_contain_text(
        "No worker takes steps of check: start `imagegate worker`"
    )
    await expect(watched.page).to_have_title(re.compile(r"^\(\d+\) imagegate"))


async def test_a_queue_that_goes_away_and_comes_back(site: Site, watched: Tab) -> None:
    site.queue.shown = depths(ready=5)
    await watched.enter()
    ready = watched.page.locator("[data-lane=check] [data-number=ready]")
    await expect(ready).to_have_text("5")

    site.queue.away = "RabbitMQ at 192.0.2.7: connection refused"
    said = watched.page.locator("#attention")
    await expect(said).to_contain_text("No answer from the queue")
    await expect(said).to_contain_text("RabbitMQ at 192.0.2.7: connection refused")
    await expect(watched.page.locator("#attention-old")).to_have_text(
        re.compile(r"What is shown is of \d\d:\d\d:\d\d, (now|\d+ s ago)\.")
    )
    await expect(ready).to_have_text("5")
    await expect(watched.page.locator("#lanes")).to_have_class("old")

    site.queue.away = ""
    site.queue.shown = depths(ready=6)
    await expect(ready).to_have_text("6")
    await expect(said).not_to_contain_text("No answer")
    await expect(watched.page.locator("#lanes")).not_to_have_class("old")


async def test_who_comes_while_the_queue_is_away_sees_the_last_numbers_and_their_time(
    site: Site, watched: Tab
) -> None:
    site.queue.shown = depths(ready=5)
    await watched.enter()
    ready = watched.page.locator("[data-lane=check] [data-number=ready]")
    await expect(ready).to_have_text("5")
    # The console keeps about one sample a second for those who come later.
    await watched.page.wait_for_timeout(1_200)
    site.queue.away = "RabbitMQ at 192.0.2.7: connection refused"
    await expect(watched.page.locator("#lanes")).to_have_class("old")

    await watched.page.reload()
    await expect(ready).to_have_text("5")
    await expect(watched.page.locator("#lanes-aside")).to_have_text(
        re.compile(r"numbers of \d\d:\d\d:\d\d, (now|\d+ s ago)")
    )


async def test_a_store_that_does_not_answer_hides_nothing_of_the_queue(
    site: Site, watched: Tab
) -> None:
    site.queue.shown = depths(ready=5)
    site.presence.away = "Redis at 192.0.2.8: timeout"
    await watched.enter()

    await expect(watched.page.locator("#attention")).to_contain_text("Redis at 192.0.2.8: timeout")
    await expect(watched.page.locator("[data-lane=check] [data-number=ready]")).to_have_text("5")


async def test_a_console_that_restarts_is_found_again(site: Site, watched: Tab) -> None:
    site.queue.shown = depths(ready=1)
    await watched.enter()
    await site.stop()

    await expect(watched.page.locator("#live")).to_have_text("reconnecting")
    await expect(watched.page.locator("#attention-text")).to_contain_text("The stream is lost")
    await expect(watched.page.locator("#attention-old")).to_contain_text("What is shown is of")

    site.queue.shown = depths(ready=2)
    await site.start()
    await expect(watched.page.locator("[data-lane=check] [data-number=ready]")).to_have_text("2")
    await expect(watched.page.locator("#live")).to_have_text("live")
    await expect(watched.page.locator("#attention-text")).not_to_contain_text("lost")


async def test_a_page_that_is_opened_while_the_console_is_away_waits_for_it(
    site: Site, watched: Tab
) -> None:
    await watched.enter()
    await watched.page.route("**/api/session", lambda route: route.abort())
    await watched.page.reload()
    await expect(watched.page.get_by_text("The console does not answer.")).to_be_visible()

    await watched.page.unroute("**/api/session")
    await watched.page.locator("#live[data-state=live]").wait_for()


async def test_decisions_stand_still_while_somebody_points_at_them(
    site: Site, watched: Tab
) -> None:
    now = site.clock.now()
    await site.decisions.write([decision(number, at=now) for number in range(5)])
    await watched.enter()
    rows = watched.page.locator("#decisions-list .item")
    await expect(rows).to_have_count(5)

    await rows.nth(2).hover()
    await site.decisions.write([decision(9, at=now)])
    await expect(watched.page.locator("#decisions-aside")).to_have_text("paused, 1 new")
    await expect(rows).to_have_count(5)

    await watched.page.mouse.move(5, 5)
    await expect(rows).to_have_count(6)
    await expect(rows.first).to_contain_text("pod-9")


async def test_an_open_decision_stays_where_it_is(site: Site, watched: Tab) -> None:
    now = site.clock.now()
    await site.decisions.write([decision(number, at=now) for number in range(3)])
    await watched.enter()
    first = watched.page.locator("#decisions-list .item").first
    await first.locator("summary").click()
    await watched.page.mouse.move(5, 5)
    before = await first.bounding_box()

    await site.decisions.write([decision(number, at=now) for number in range(10, 14)])
    await expect(watched.page.locator("#decisions-aside")).to_have_text("paused, 4 new")
    assert await first.bounding_box() == before
    await expect(first).to_contain_text("reviews alike")


async def test_nothing_jumps_when_numbers_and_trouble_come_and_go(site: Site, watched: Tab) -> None:
    site.queue.shown = depths()
    await watched.enter()
    places = """() => ['lanes', 'decisions', 'verdicts', 'dead'].map(
        (id) => document.getElementById(id).getBoundingClientRect().top)"""
    await expect(watched.page.locator("[data-lane=check] [data-number=ready]")).to_have_text("0")
    before = await watched.page.evaluate(places)

    site.queue.shown = depths(ready=98_765, dead=3, workers=0)
    site.presence.away = "Redis at 192.0.2.8: " + "timeout " * 20
    await expect(watched.page.locator("[data-lane=check] [data-number=workers]")).to_have_text("0")
    await expect(watched.page.locator("#attention-text")).to_contain_text(
        "No answer from the store"
    )
    assert await watched.page.evaluate(places) == before


async def test_the_times_tick_without_an_event(site: Site, watched: Tab) -> None:
    await site.decisions.write([decision(1, at=site.clock.now() - 2_000)])
    await watched.enter()
    when = watched.page.locator("#decisions-list .when time")
    first = await when.inner_text()

    await expect(when).not_to_have_text(first)
    assert "T" in str(await when.get_attribute("title"))


async def test_a_process_without_its_store_is_named(site: Site, watched: Tab) -> None:
    site.queue.shown = depths()
    beat = Beat(
        name="worker@node-7:12:beef",
        service="worker",
        version="0.1.0",
        started=site.clock.now() - 90_000,
        away=("anchore",),
        in_hand={Lane.CHECK: 2},
    )
    await site.presence.beat(beat)
    await watched.enter()

    row = watched.page.locator("#processes-list .item")
    await expect(row).to_contain_text("node-7:12:beef")
    await expect(row).to_contain_text("without anchore")
    await expect(watched.page.locator("#attention-text")).to_have_text(
        "worker@node-7:12:beef has no answer from anchore."
    )
    await row.locator("summary").click()
    await expect(row).to_contain_text("check 2")

    await site.presence.goodbye(beat.name)
    await expect(row).to_have_count(0)
