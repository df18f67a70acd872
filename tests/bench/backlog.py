"""A backlog: images that nobody has judged, with requests on the queue, and what comes of them.

What is published is claimed by nobody, so that the reconciler publishes none of it again: only the
queue knows of it, and what it or a worker loses is lost.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import msgspec

from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.errors import QueueError, StoreError
from shared.domain.reference import parse_reference
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Question, Subject, verdict_key
from shared.domain.why import Why
from shared.ports.claims import Claim
from shared.runtime.clock import SystemClock
from tests.bench.site import Site
from tests.fakes.images import tiny_image
from tests.waiting import PATIENCE, eventually

AT_ONCE = 100
"""Publishes that wait for their confirm."""

BEGUN_WITHIN = 60.0
"""Seconds."""

CLAIM_LIFE = 30_000
"""Milliseconds."""

EVERYTHING = 100_000
"""Keys that the store is asked for at most."""


class Wanted(msgspec.Struct, frozen=True):
    """One image of the backlog."""

    reference: str
    subject: Subject

    @property
    def key(self) -> str:
        """Of its verdict."""
        return verdict_key(self.subject, Question())


class Backlog:
    """The queue from outside, and every verdict: when it was announced, or found after a gap."""

    def __init__(self, *, running: Site, queue: RabbitQueue, links: RedisLinks) -> None:
        self._running = running
        self._queue = queue
        self._store = RedisVerdictStore(links=links)
        self._claims = RedisRequestClaims(links=links)
        self._missed = False
        self._judged: dict[str, float] = {}

    def changed(self, key: str) -> None:
        """An announcement."""
        if key.startswith("verdict:"):
            self._judged.setdefault(key, time.monotonic())

    def gap(self) -> None:
        """Announcements may have been missed."""
        self._missed = True

    def images(self, count: int) -> list[Wanted]:
        """So many new images in the site's registry."""
        batch = uuid.uuid4().hex[:8]
        made = []
        for number in range(count):
            content = tiny_image(config={"Labels": {"batch": batch, "number": str(number)}})
            image = self._running.registry.put(content, f"team/{batch}-{number}:1.0")
            subject = Subject(image.repository, content.digest, image.tag)
            made.append(Wanted(str(parse_reference(f"{image}@{content.digest}")), subject))
        return made

    async def publish(self, images: Sequence[Wanted], *, lane: Lane = Lane.ADMISSION) -> None:
        """Queue a request for each, whatever the broker does meanwhile."""
        places = asyncio.Semaphore(AT_ONCE)

        async def publish(image: Wanted) -> None:
            async with places:
                step = _request(image, lane)
                while True:
                    try:
                        return await self._queue.publish(step)
                    except QueueError:
                        await asyncio.sleep(0.2)

        await asyncio.gather(*(publish(image) for image in images))

    async def claim(self, images: Sequence[Wanted]) -> None:
        """As a webhook does whose publish then fails: whoever reconciles finds what was wanted."""
        for image in images:
            key = request_claim(StepKind.REQUEST, parse_reference(image.reference), Question())
            step = msgspec.structs.replace(_request(image, Lane.ADMISSION), claim=key)
            assert await self._claims.claim(key, step, life=CLAIM_LIFE) is Claim.TAKEN
            await self._claims.drop(key)

    async def listen(self) -> None:
        """Hear of verdicts until cancelled."""
        await self._store.listen(self)

    async def judged(self, images: Sequence[Wanted]) -> dict[Wanted, float]:
        """Those that have or had a verdict, and when it was heard of (monotonic)."""
        if self._missed:
            with suppress(StoreError):
                for key in await self._store.keys("verdict:", limit=EVERYTHING):
                    self.changed(key)
                self._missed = False
        return {each: self._judged[each.key] for each in images if each.key in self._judged}

    async def until_submitted(self, images: Sequence[Wanted], count: int) -> None:
        """Wait until Anchore got so many of them."""

        async def there() -> bool:
            return sum(map(bool, await self.submits(images))) >= count

        await eventually(there, within=BEGUN_WITHIN)

    async def until_judged(self, images: Sequence[Wanted], count: int) -> None:
        """Wait until so many of them have a verdict."""

        async def there() -> bool:
            return len(await self.judged(images)) >= count

        await eventually(there, within=BEGUN_WITHIN)

    async def wait(self, images: Sequence[Wanted], *, within: float) -> list[Wanted]:
        """Wait until all are judged, at most `within` seconds; those that are not."""
        ends = time.monotonic() + within
        while True:
            judged = await self.judged(images)
            if len(judged) == len(images) or time.monotonic() > ends:
                return [each for each in images if each not in judged]
            await asyncio.sleep(0.05)

    async def submits(self, images: Sequence[Wanted]) -> list[int]:
        """How often each was handed to Anchore."""
        counted = (await self._running.anchore_counters())["submits"]
        return [counted.get(image.subject.digest, 0) for image in images]


@asynccontextmanager
async def backlog(running: Site) -> AsyncIterator[Backlog]:
    """Beside the processes of `running`, with connections of its own."""
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(RedisLinks(url=running.redis.url, limit=PATIENCE))
        queue = RabbitQueue(running.rabbit.url, clock=SystemClock())
        await stack.enter_async_context(queue.connect())
        await queue.connected(timeout=PATIENCE)
        made = Backlog(running=running, queue=queue, links=links)
        listening = asyncio.create_task(made.listen())
        stack.callback(listening.cancel)
        yield made


def _request(image: Wanted, lane: Lane) -> Step:
    return Step(
        id=uuid.uuid4().hex,
        kind=StepKind.REQUEST,
        lane=lane,
        reference=image.reference,
        question=Question(),
        first_seen=SystemClock().now(),
        why=Why.PREWARM if lane is Lane.PREWARM else Why.ADMISSION,
    )
