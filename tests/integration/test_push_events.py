"""A real registry says what was pushed to it, and the image is known before anybody asks.

Debian's docker-registry, configured as docs/design/push-events.md says, is pushed to by skopeo; its
own notifications go to an intake over real Redis and RabbitMQ.
"""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from services.intake.prewarm import Prewarm
from services.intake.wiring import CLAIM, CONFIRM
from services.worker.ledger import Ledger
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.pointer import Pointer
from shared.domain.reference import ImageReference
from shared.domain.step import StepKind
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.runtime.clock import SystemClock
from tests.bench.site import site
from tests.fakes.images import (
    DOCKER_CONFIG,
    OCI_MANIFEST,
    Content,
    descriptor,
    digest_of,
    encode,
    index_of,
    tiny_image,
)
from tests.fakes.pushes import TOKEN, bearer, envelope, event
from tests.fakes.sealing import PlainSealer
from tests.house import CONTROLLER, House, house, intake
from tests.integration.test_degradation import real_backends
from tests.servers.ports import free_ports
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.servers.registry import RegistryServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

DOCUMENT = Path(__file__).parents[2] / "docs" / "design" / "push-events.md"
HELM = "application/vnd.cncf.helm.config.v1+json"
ANSWER_WITHIN = 8.0
"""Seconds: the intake's own limit is 0.4, and the machine may stand still for a moment."""

JUDGED_WITHIN = 90.0
"""Seconds: what the queue did not take in time is queued again when its claim ends."""


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), persistent=True) as server:
        yield server


def documented(url: str) -> str:
    """The registry's section as the document has it, for an intake at `url`."""
    found = re.search(r"```yaml\n(notifications:.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert found is not None
    text = found.group(1).replace("http://imagegate-intake:8088", url)
    assert text != found.group(1)
    return text.replace("TOKEN", TOKEN)


class Yard:
    """A house, a registry that tells it of pushes, and the intake that listens."""

    def __init__(self, *, home: House, registry: RegistryServer, port: int) -> None:
        self.home = home
        self.registry = registry
        self._port = port
        self._health = ""
        sealer = PlainSealer()
        self._ledger = Ledger(
            store=home.backends.store, sealer=sealer, unsealer=sealer, clock=SystemClock()
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """With an intake."""
        async with intake(self.home, port=self._port) as sites:
            assert sites.health is not None
            self._health = sites.health.url
            yield

    async def post(self, body: bytes) -> int:
        """Send an envelope as a registry does; the status."""
        url = f"http://127.0.0.1:{self._port}/events/distribution"
        async with self.home.session.post(url, data=body, headers=bearer()) as answer:
            return answer.status

    async def put(self, content: Content, path: str, tag: str) -> None:
        """Push without skopeo, which knows images only."""
        url = f"http://{self.registry.host}/v2/{path}"
        session = self.home.session
        for digest, blob in content.blobs.items():
            async with session.post(f"{url}/blobs/uploads/") as begun:
                there = URL(begun.headers["Location"]).update_query(digest=digest)
            async with session.put(there, data=blob) as answer:
                assert answer.status == 201
        headers = {"Content-Type": content.media_type}
        manifest = f"{url}/manifests/{tag}"
        async with session.put(manifest, data=content.manifest, headers=headers) as answer:
            assert answer.status == 201, await answer.text()

    async def push(self, content: Content, name: str = "team/app:1") -> ImageReference:
        """As CI does; returns when skopeo is done."""
        return await asyncio.to_thread(self.registry.push, content, name)

    async def pointer(self, reference: ImageReference) -> Pointer | None:
        return await self._ledger.pointer(reference)

    async def verdict(self, reference: ImageReference, content: Content) -> Verdict | None:
        subject = Subject(reference.repository, content.digest, reference.tag)
        return await self._ledger.verdict(subject, Question())

    async def judged(
        self, reference: ImageReference, content: Content, *, within: float = JUDGED_WITHIN
    ) -> Verdict:
        """Wait for the verdict; nobody asks for it here."""

        async def there() -> bool:
            return await self.verdict(reference, content) is not None

        await eventually(there, within=within)
        verdict = await self.verdict(reference, content)
        assert verdict is not None
        return verdict

    async def counted(self, outcome: str) -> int:
        """Events of that outcome, as a scrape sees them."""
        async with self.home.session.get(f"{self._health}/metrics") as answer:
            scraped = await answer.text()
        line = re.search(rf'push_events_total{{outcome="{outcome}".*}} (\d+)', scraped)
        return int(line.group(1)) if line else 0

    async def asked(self) -> int:
        """Events that asked for an image: one whose confirm came late is remembered, and counts."""
        return await self.counted("queued") + await self.counted("remembered")

    async def hears(self, *, asked: int, **ignored: int) -> None:
        """Wait until so many events asked for an image, and at least so many were ignored.

        A registry that did not wait for the answer sends its event again: that finds what the first
        one asked for under way.
        """

        async def heard() -> bool:
            counts = [
                await self.counted(f"ignored_{why}") >= count for why, count in ignored.items()
            ]
            return all(counts) and await self.asked() + await self.counted("under_way") >= asked

        await eventually(heard)
        assert await self.asked() <= asked
        assert asked or not await self.counted("under_way")

    def requests(self) -> int:
        """Steps that anybody has asked for, as a worker got them."""
        queue = self.home.backends.queue
        assert isinstance(queue, RabbitQueue)
        asked = (StepKind.REQUEST, StepKind.RESOLVE)
        return sum(each.delivered for each in queue.carried.steps() if each.kind in asked)


@asynccontextmanager
async def yard(
    folder: Path,
    redis: RedisServer,
    rabbit: RabbitServer,
    *,
    listening: bool = True,
    hurried: bool = False,
) -> AsyncIterator[Yard]:
    """`hurried`: its intake has no more time than as a process of its own, else all it needs."""
    rabbit.mend()
    port = free_ports("events")["events"]
    section = documented(f"http://127.0.0.1:{port}")
    async with AsyncExitStack() as stack:
        registry = stack.enter_context(RegistryServer(folder / "registry", notifications=section))
        claim, confirm = (CLAIM, CONFIRM) if hurried else (PATIENCE, PATIENCE)
        backends = await stack.enter_async_context(
            real_backends(redis, rabbit, limit=claim, confirm_timeout=confirm)
        )
        if not hurried:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr("services.intake.wiring.Prewarm", partial(Prewarm, within=PATIENCE))
        home = await stack.enter_async_context(
            house(folder / "state", backends=backends, registries=[registry.host])
        )
        opened = Yard(home=home, registry=registry, port=port)
        if listening:
            await stack.enter_async_context(opened.listening())
        yield opened


@pytest.fixture
async def here(redis: RedisServer, rabbit: RabbitServer, tmp_path: Path) -> AsyncIterator[Yard]:
    async with yard(tmp_path, redis, rabbit) as opened:
        yield opened


async def test_the_first_pod_with_a_pushed_image_passes_from_the_store(here: Yard) -> None:
    content = tiny_image()
    image = await here.push(content)
    verdict = await here.judged(image, content)
    assert verdict.outcome is Outcome.PASS
    asked, calls = here.requests(), here.home.asked_of_anchore
    assert (await here.home.review(str(image))).allowed
    assert asked == here.requests()
    assert await here.home.backends.claims.oldest() == {}
    assert here.home.asked_of_anchore == calls
    await here.hears(asked=1)


async def test_a_pushed_image_that_fails_is_denied_at_once(here: Yard) -> None:
    content = tiny_image(config={"User": "root"})
    here.home.anchore.store.decide(content.digest, "stop")
    image = await here.push(content)
    await here.judged(image, content)
    asked = here.requests()
    answer = await here.home.review(str(image))
    assert answer.code == 403
    assert "refused by policy" in answer.message
    assert asked == here.requests()


async def test_of_a_multi_arch_push_only_the_index_asks_and_only_our_platform_is_scanned(
    here: Yard,
) -> None:
    ours, other = tiny_image(), tiny_image(platform="linux/arm64")
    image = await here.push(index_of((ours, "linux/amd64"), (other, "linux/arm64")))
    await here.judged(image, ours)
    assert here.home.anchore.store.submits == {ours.digest: 1}
    await here.hears(asked=1, untagged=2)
    assert (await here.home.review(str(image))).allowed


async def test_a_tag_that_is_pushed_again_never_passes_by_the_old_verdict(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    old, new = tiny_image(), tiny_image(config={"User": "root"})
    async with yard(tmp_path, redis, rabbit) as here:
        store = here.home.anchore.store
        store.decide(new.digest, "stop")
        image = await here.push(old)
        assert (await here.judged(image, old)).outcome is Outcome.PASS
        assert (await here.home.review(str(image))).allowed
        store.settle_after(None)
        await here.push(new)

        async def moved() -> bool:
            pointer = await here.pointer(image)
            return pointer is not None and pointer.digest == new.digest

        await eventually(moved)
        # The old verdict is there and good, and is of another digest.
        assert await here.verdict(image, old) is not None

        async def pending() -> bool:
            return (await here.home.review(str(image), user=CONTROLLER)).code == 429

        # The announcement of the pointer is on its way to the webhook.
        await eventually(pending)
        answers = [await here.home.review(str(image), user=CONTROLLER) for _ in range(20)]
        assert {answer.code for answer in answers} == {429}
        await eventually(lambda: new.digest in store.submits)
        store.finish(new.digest)
        assert (await here.judged(image, new)).outcome is Outcome.FAIL
        assert (await here.home.settled(str(image))).code == 403


async def test_the_registry_keeps_its_events_while_store_and_queue_are_away(
    here: Yard, redis: RedisServer, rabbit: RabbitServer
) -> None:
    content = tiny_image()
    redis.kill()
    rabbit.kill()
    image = await here.push(content)

    async def refused() -> bool:
        return await here.counted("away") > 0

    await eventually(refused)
    redis.start_again()
    await asyncio.to_thread(rabbit.restart)
    await here.judged(image, content)


async def test_events_of_the_time_before_the_intake_was_there_are_taken(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    content = tiny_image()
    async with yard(tmp_path, redis, rabbit, listening=False) as here:
        image = await here.push(content)
        await asyncio.sleep(1)
        assert await here.pointer(image) is None
        async with here.listening():
            await here.judged(image, content)


async def test_what_no_pod_can_run_is_pushed_and_asked_for_by_nobody(here: Yard) -> None:
    chart = manifest_of(HELM, b"{}")
    signature = manifest_of(DOCKER_CONFIG, b"{}")
    await here.put(chart, "team/chart", "1.0.0")
    await here.put(signature, "team/app", f"sha256-{'a' * 64}.sig")
    await here.hears(asked=0, artifact=1, signature=1)


@pytest.mark.parametrize("events", [1, 50])
@pytest.mark.parametrize("hung", ["redis", "rabbit", "both"])
async def test_a_server_that_hangs_holds_no_registry_longer_than_it_waits(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path, hung: str, events: int
) -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(yard(tmp_path, redis, rabbit, hurried=True))
        if hung != "rabbit":
            stack.enter_context(redis.paused())
        if hung != "redis":
            stack.enter_context(rabbit.paused())
        body = envelope(*(event(tag=str(number)) for number in range(events)))

        async def taken() -> bool:
            async with asyncio.timeout(ANSWER_WITHIN):
                status = await here.post(body)
            assert status in (202, 503)
            return status == 202

        if hung == "both":
            assert not await taken()
        else:
            # Sent again as a registry does: the other server may be slow on this machine.
            await eventually(taken)


async def test_as_a_process_it_takes_events_and_stops_when_told(tmp_path: Path) -> None:
    async with site(tmp_path, webhooks=0, workers=1, intake=True) as running:
        content = tiny_image()
        image = running.registry.put(content, "team/app:1")
        pushed = event(host=image.host, repository=image.path, tag="1", digest=content.digest)
        url = f"http://127.0.0.1:{running.intake}/events/distribution"

        async def taken() -> bool:
            async with session.post(url, data=envelope(pushed), headers=bearer()) as answer:
                told = await answer.json()
            if answer.status == 503:
                return False
            # Under way is what the answer before did not tell any more.
            asked = ("queued", "remembered", "under_way")
            assert sum(told.get(outcome, 0) for outcome in asked) == 1
            assert told["ignored"] == 0
            return True

        async with aiohttp.ClientSession() as session:
            # Sent again as a registry does: this one has 0.4 s.
            await eventually(taken)

        async def submitted() -> bool:
            return content.digest in (await running.anchore_state())["submits"]

        await eventually(submitted, within=JUDGED_WITHIN)
        process = running.programs["intake"]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0


def manifest_of(config_type: str, config: bytes) -> Content:
    """Something without a layer."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config_type, config),
        "layers": [],
    }
    return Content(OCI_MANIFEST, encode(manifest), {digest_of(config): config})
