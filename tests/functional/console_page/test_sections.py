"""Decisions are found, verdicts are searched, dead letters are read."""

import msgspec
import pytest
from playwright.async_api import expect

from shared.domain.step import Lane
from shared.ports.presence import Beat
from tests.fakes.sealing import PlainSealer
from tests.functional.console_page.browser import Tab
from tests.functional.console_page.entries import DIGEST, dead_step, decision, verdict
from tests.functional.console_page.site import Site, depths

pytestmark = pytest.mark.asyncio(loop_scope="package")

REASON = "image registry.example.com/app:1: refused by policy production: openssh-server"


async def test_a_decision_opens_to_everything_that_is_known_of_it(site: Site, watched: Tab) -> None:
    at = site.clock.now()
    await site.decisions.write([decision(1, at=at, allowed=False, reason=REASON)])
    await watched.enter()
    row = watched.page.locator("#decisions-list .item")
    # The image stands in its own column: the row's reason begins behind it.
    await expect(row.locator(".why")).to_have_text("refused by policy production: openssh-server")

    await row.locator("summary").click()
    details = row.locator(".details")
    for text in (
        REASON,
        "denied (403), fail",
        "payments",
        "team/Pod/pod-1 (CREATE)",
        "ada@example.org",
    ):
        await expect(details).to_contain_text(text)
    await expect(details).to_contain_text("T")


async def test_decisions_are_filtered_by_any_words_and_by_denied_only(
    site: Site, watched: Tab
) -> None:
    at = site.clock.now()
    await site.decisions.write(
        [decision(number, at=at, allowed=number % 2 == 0, reason="") for number in range(8)]
    )
    await watched.enter()
    rows = watched.page.locator("#decisions-list .item")
    await expect(rows).to_have_count(8)

    await watched.page.get_by_label("denied only").check()
    await expect(rows).to_have_count(4)
    await watched.page.get_by_label("Filter decisions").fill("ADA app:5")
    await expect(rows).to_have_count(1)
    await expect(watched.page.locator("#decisions-aside")).to_have_text("1 of 8")
    await watched.page.get_by_label("Filter decisions").fill("nobody")
    await expect(watched.page.locator("#decisions-list")).to_have_text("No decision is like that.")


async def test_older_decisions_than_came_by_themselves_are_found(site: Site, watched: Tab) -> None:
    at = site.clock.now()
    await site.decisions.write([decision(number, at=at) for number in range(300)])
    await watched.enter()
    await expect(watched.page.locator("#decisions-aside")).to_have_text("the last 100")

    await watched.page.get_by_label("Filter decisions").fill("pod-7 app:7")
    await expect(watched.page.locator("#decisions-list .item").last).to_contain_text("pod-7")
    await expect(watched.page.locator("#decisions-aside")).to_have_text("11 of 300")


async def test_a_decision_leads_to_the_verdicts_of_its_image(site: Site, watched: Tab) -> None:
    at = site.clock.now()
    await site.decisions.write([decision(1, at=at)])
    await site.put(verdict("registry.example.com/app:1", at=at, fails=True))
    await site.put(verdict("registry.example.com/other:1", at=at))
    await watched.enter()
    await watched.page.locator("#decisions-list summary").click()
    await watched.page.get_by_role("button", name="Verdicts of registry.example.com/app:1").click()

    await expect(watched.page.get_by_label("Image or digest")).to_have_value(
        "registry.example.com/app:1"
    )
    rows = watched.page.locator("#verdicts-list .item")
    await expect(rows).to_have_count(1)
    await expect(watched.page.locator("#verdicts-aside")).to_have_text(
        "1 record of registry.example.com/app:1"
    )


async def test_verdicts_are_searched_by_a_digest_and_open_to_their_findings(
    site: Site, watched: Tab
) -> None:
    at = site.clock.now()
    await site.put(verdict("registry.example.com/app:1", at=at - 60_000, fails=True))
    await site.put(verdict("registry.example.com/b:1", at=at, digest="sha256:" + "b" * 64))
    await watched.enter()
    rows = watched.page.locator("#verdicts-list .item")
    await expect(rows).to_have_count(2)

    await watched.page.get_by_label("Image or digest").fill(DIGEST[:20])
    await watched.page.get_by_label("Image or digest").press("Enter")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("1 min ago")
    await rows.locator("summary").click()
    for text in (
        DIGEST,
        "production",
        "stop: Package is blacklisted: openssh-server (packages/blacklist)",
        "warn: Package is old: telnet (packages/blacklist)",
    ):
        await expect(rows.locator(".details")).to_contain_text(text)

    await watched.page.get_by_label("Image or digest").fill("nothing-like-it")
    await watched.page.get_by_role("button", name="Search").click()
    await expect(watched.page.locator("#verdicts-list")).to_have_text(
        "The store knows nothing of it. `imagegate scan IMAGE` has it judged."
    )


async def test_a_record_that_is_not_believed_is_loud(site: Site, watched: Tab) -> None:
    at = site.clock.now()
    site.queue.shown = depths()
    for number in range(20):
        await site.put(verdict(f"registry.example.com/app:{number}", at=at))
    await site.put(verdict("registry.example.com/forged:1", at=at), sealer=PlainSealer(b"thief"))
    await watched.enter()

    first = watched.page.locator("#verdicts-list .item").first
    await expect(first).to_contain_text("not believed")
    await expect(first).to_contain_text("forged:1")
    await expect(watched.page.locator("#attention")).to_have_attribute("data-level", "bad")
    await expect(watched.page.locator("#attention-text")).to_contain_text(
        "1 record in the store is not believed"
    )


async def test_a_stale_verdict_says_so(site: Site, watched: Tab) -> None:
    await site.put(verdict("registry.example.com/app:1", at=site.clock.now() - 7_200_000))
    await watched.enter()

    row = watched.page.locator("#verdicts-list .item")
    await expect(row).to_contain_text("stale")
    await expect(row).to_contain_text("2 h ago")


async def test_a_dead_letter_opens_to_its_history_its_message_and_the_command(
    site: Site, watched: Tab
) -> None:
    at = site.clock.now()
    attempts = ("the scanner does not answer", "the scanner answered 500")
    site.queue.dead.add(
        Lane.PREWARM, dead_step("registry.example.com/app:1", at=at, history=attempts)
    )
    (letter,) = site.queue.dead.oldest(1)
    await watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await watched.enter()
    row = watched.page.locator("#dead-list .item")
    await expect(row).to_contain_text("the scanner answered 500")

    await row.locator("summary").click()
    await expect(row.locator(".history li")).to_have_text(list(attempts))
    await expect(row.locator(".body")).to_contain_text('"kind": "request"')
    command = f"imagegate dead requeue {letter.id}"
    await expect(row.locator("code")).to_have_text(command)
    await row.get_by_role("button", name="Copy").click()
    await expect(row.get_by_role("status")).to_have_text("copied")
    assert await watched.page.evaluate("navigator.clipboard.readText()") == command


async def test_without_a_clipboard_the_command_is_selected(site: Site, watched: Tab) -> None:
    site.queue.dead.add(Lane.PREWARM, dead_step("a.example/app:1", at=site.clock.now()))
    await watched.page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined })"
    )
    await watched.enter()
    await watched.page.locator("#dead-list summary").click()
    await watched.page.get_by_role("button", name="Copy").click()

    selected = await watched.page.evaluate("getSelection().toString()")
    assert selected.startswith("imagegate dead requeue ")


async def test_a_letter_that_somebody_requeued_meanwhile_is_said_to_be_gone(
    site: Site, watched: Tab
) -> None:
    site.queue.dead.add(Lane.PREWARM, dead_step("a.example/app:1", at=site.clock.now()))
    site.queue.shown = depths(dead=1)
    await watched.enter()
    row = watched.page.locator("#dead-list .item")
    await row.wait_for()
    (letter,) = site.queue.dead.oldest(1)
    site.queue.dead.remove(letter.id)

    await row.locator("summary").click()
    await expect(row).to_contain_text("It is not there any more")
    site.queue.shown = depths(dead=0)
    await expect(watched.page.locator("#dead-list")).to_have_text("None: every step was settled.")


async def test_ids_are_quoted_for_the_shell_or_not_offered_at_all(watched: Tab) -> None:
    await watched.enter()
    commands = await watched.page.evaluate(
        """async () => {
            const { requeueCommand } = await import('/static/dead.js');
            return ['5a3e', 'a:1', '-rf', 'a b', "a'b; rm", 'a\\u202eb'].map(requeueCommand);
        }"""
    )

    assert commands == [
        "imagegate dead requeue 5a3e",
        "imagegate dead requeue a:1",
        "imagegate dead requeue -- '-rf'",
        "imagegate dead requeue -- 'a b'",
        "imagegate dead requeue -- 'a'\\''b; rm'",
        None,
    ]


async def test_an_emergency_is_what_people_see_first(site: Site, watched: Tab) -> None:
    later = site.clock.now() + 3_600_000
    beat = Beat("webhook@h:1:x", "webhook", "1", site.clock.now(), emergency=later)
    await site.presence.beat(beat)
    named = msgspec.structs.replace(beat, name="webhook@h:2:x", cluster="prod")
    await site.presence.beat(named)
    await watched.enter()

    await expect(watched.page.locator("#attention")).to_have_attribute("data-level", "bad")
    await expect(watched.page.locator("#attention-list")).to_contain_text(
        "Emergency: the store knows of none; counts in 1 of 1 webhooks."
    )
    await expect(watched.page.locator("#attention-list")).to_contain_text(
        "Emergency of prod: the store knows of none; counts in 1 of 1 webhooks."
    )
