"""Another feed: what is known is looked at anew, nothing is pulled, and whom it concerns hears."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.cli.embedded.wiring import Embedded, EmbeddedSettings, embedded
from services.console.settings import ConsoleSettings
from services.intake.settings import IntakeSettings
from services.scanner.settings import ScannerSettings
from services.webhook.settings import WebhookSettings
from services.worker.settings import WorkerSettings
from shared.adapters.anchore.reading import moment
from shared.domain.reference import ImageReference
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.settings import Secret
from tests.fakes.clock import FakeClock
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client, opened_scanner
from tests.functional.scanner.feeding import UNHEARD_OF, about, feed
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.house import pod, review_of
from tests.servers.ports import free_port
from tests.waiting import eventually

IMAGE = debian_image(BASE_FILES, NETBASE)
PATIENCE = 150.0
"""Seconds: a notice that was not asked for in time is asked for when its claim has ended, half a
minute later, and an image that could not be evaluated at once is tried again within a minute."""
TURNED = "user.checks.tag.policy_evaluation.update"
SECRET = "a-password-for-notices"


async def events(scanner: Client, kind: str = TURNED) -> list[dict[str, Any]]:
    status, body = await scanner.get("/v1/events", event_type=kind)
    assert status == 200
    return [one["event"] for one in body["results"]]


@asynccontextmanager
async def evaluated(
    registry: FakeRegistry, feeds: Path, *, clock: Clock | None = None
) -> AsyncIterator[tuple[Client, ImageReference]]:
    """A scanner that looks into `feeds`, by which IMAGE is good so far."""
    await feed(feeds)
    async with opened_scanner(
        registry, feeds.parent, clock=clock, imagegate_scanner_feed=feeds
    ) as scanner:
        reference = await scanner.analysed(registry, IMAGE)
        assert (await scanner.entry(reference, IMAGE.digest))["status"] == "pass"
        yield scanner, reference


async def test_a_new_feed_turns_what_was_good_without_pulling_and_tells_it(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    feeds = tmp_path / "feeds"
    async with evaluated(registry, feeds) as (scanner, reference):
        requests = len(registry.requests)
        await feed(feeds, about("netbase"))

        async def told() -> bool:
            return bool(await events(scanner))

        await eventually(told, within=PATIENCE)
        (event,) = await events(scanner)
        assert (await scanner.entry(reference, IMAGE.digest))["status"] == "fail"
        _, found = await scanner.get(f"/v1/images/{IMAGE.digest}/vuln/os")

    assert len(registry.requests) == requests
    assert [one["vuln"] for one in found["vulnerabilities"]] == [UNHEARD_OF]
    recorded = json.loads(
        (
            Path(__file__).parents[2] / "data/anchore-notices/engine-event-policy-evaluation.json"
        ).read_bytes()
    )
    assert {*event} == {*recorded}
    assert event["resource"] == {
        "id": reference.tagged,
        "type": "image_tag",
        "user_id": "admin",
    }
    assert {*event["details"]} == {*recorded["details"]}
    assert {*event["details"]["curr_eval"]} == {*recorded["details"]["curr_eval"]}
    ended = {name: event["details"][name]["final_action"] for name in ("last_eval", "curr_eval")}
    assert ended == {"last_eval": "go", "curr_eval": "stop"}


async def test_of_two_evaluations_in_one_second_it_is_known_which_was_later(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    """Else the later one, turned by a feed in between, would not be written down by a worker."""
    clock = FakeClock(now=SystemClock().now())
    async with evaluated(registry, tmp_path / "feeds", clock=clock) as (scanner, reference):
        for _ in range(5):
            clock.advance(1)
            entry = await scanner.entry(reference, IMAGE.digest)
            assert moment(entry["last_evaluation"]) == clock.now()


async def test_what_a_feed_does_not_touch_turns_nothing(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    feeds = tmp_path / "feeds"
    async with evaluated(registry, feeds) as (scanner, reference):
        before = await as_of(scanner)
        await feed(feeds, about("openssl"))
        await eventually(lambda: changed(scanner, before), within=PATIENCE)
        assert (await scanner.entry(reference, IMAGE.digest))["status"] == "pass"
        assert await events(scanner) == []


async def test_a_feed_that_came_while_nobody_ran_is_noticed_at_the_start(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    feeds = tmp_path / "feeds"
    async with evaluated(registry, feeds):
        pass
    await feed(feeds, about("netbase"))
    async with opened_scanner(registry, tmp_path, imagegate_scanner_feed=feeds) as scanner:

        async def told() -> bool:
            return bool(await events(scanner))

        await eventually(told, within=PATIENCE)


async def as_of(scanner: Client) -> str:
    _, status = await scanner.get("/v1/status")
    return str(status["detail"]["feed"]["identity"])


async def changed(scanner: Client, before: str) -> bool:
    return await as_of(scanner) != before


class Site:
    """A whole imagegate with the built-in scanner, in one process."""

    def __init__(self, running: Embedded, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.session = session

    async def allows(self, image: str) -> bool | None:
        """What a review of it says now; None: it is pending."""
        url = f"{self.running.webhook.reviews.url}/validate?timeout=5s"
        async with self.session.post(url, json=review_of(pod(image))) as answer:
            response = (await answer.json())["response"]
        if response["allowed"]:
            return True
        return None if response["status"]["code"] == 429 else False

    def counted(self) -> str:
        """How far a turned evaluation came on its way."""
        lines = self.running.metrics.render().decode().splitlines()
        on_the_way = (
            "imagegate_scanner_",
            "imagegate_notices",
            "imagegate_steps",
            "imagegate_verd",
        )
        return "\n".join(line for line in lines if line.startswith(on_the_way))


@asynccontextmanager
async def site(folder: Path, registry: FakeRegistry, feeds: Path) -> AsyncIterator[Site]:
    intake_port, life = free_port(), Lifecycle(drain_deadline=2.0)
    settings = EmbeddedSettings(
        webhook=WebhookSettings(imagegate_state=folder, imagegate_port=0, imagegate_health_port=0),
        worker=WorkerSettings(imagegate_state=folder, imagegate_health_port=0),
        scanner=ScannerSettings(
            imagegate_state=folder,
            imagegate_scanner_port=0,
            imagegate_scanner_feed=feeds,
            imagegate_scanner_notify_url=f"http://127.0.0.1:{intake_port}/events/anchore",
            imagegate_scanner_notify_password=Secret(SECRET),
        ),
        intake=IntakeSettings(
            imagegate_state=folder,
            imagegate_intake_port=intake_port,
            imagegate_events_password=Secret(SECRET),
        ),
        console=ConsoleSettings(imagegate_state=folder, imagegate_console_port=0),
        insecure_registry=registry.host,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(life.cancel_tasks)
        running = await stack.enter_async_context(embedded(settings, life, facts=dict))
        connector = aiohttp.TCPConnector(ssl=False)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        yield Site(running, session)


async def test_a_verdict_turns_soon_after_a_feed_that_makes_its_image_bad(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    feeds = tmp_path / "feeds"
    await feed(feeds)
    image = f"{registry.put(IMAGE, 'team/app:1.0').tagged}@{IMAGE.digest}"
    async with site(tmp_path, registry, feeds) as home:
        await eventually(lambda: says(home, image, allowed=True), within=PATIENCE)
        pulled = blobs(registry, IMAGE)
        await feed(feeds, about("netbase"))
        try:
            await eventually(lambda: says(home, image, allowed=False), within=PATIENCE)
        except TimeoutError:
            pytest.fail(f"it goes on to be allowed; what was counted:\n{home.counted()}")
        # Who looked at it just then may have been quicker than the notice.
        queued = 'imagegate_notices_total{kind="policy",outcome="queued"}'
        await eventually(lambda: queued in home.counted(), within=PATIENCE)

    assert blobs(registry, IMAGE) == pulled


async def says(home: Site, image: str, *, allowed: bool) -> bool:
    return await home.allows(image) is allowed


def blobs(registry: FakeRegistry, content: Content) -> int:
    """How often its layers and config were asked for."""
    return sum(digest in str(one) for one in registry.requests for digest in content.blobs)
