"""From an event to the first pod, in a whole imagegate: known before anybody asks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.worker.ledger import Ledger
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import Question, Subject
from shared.runtime.clock import SystemClock
from tests.fakes.images import Content, tiny_image
from tests.fakes.pushes import bearer, envelope, event, signed
from tests.fakes.sealing import PlainSealer
from tests.house import House, house, intake
from tests.waiting import eventually

CONTENT = tiny_image()


class Warm:
    """A house that hears of pushes."""

    def __init__(self, *, home: House, url: str) -> None:
        self.home = home
        self._url = url

    async def announce(self, image: ImageReference, content: Content) -> int:
        """A registry's event; the HTTP status."""
        pushed = event(
            host=image.host, repository=image.path, tag=image.tag or "", digest=content.digest
        )
        url = f"{self._url}/events/distribution"
        data = envelope(pushed)
        async with self.home.session.post(url, data=data, headers=bearer()) as answer:
            return answer.status

    async def tell(self, body: bytes) -> int:
        """A pipeline's event; the HTTP status."""
        url = f"{self._url}/events/generic"
        async with self.home.session.post(url, data=body, headers=signed(body)) as answer:
            return answer.status

    async def judged(self, image: ImageReference, content: Content) -> bool:
        sealer = PlainSealer()
        store = self.home.backends.store
        ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())
        subject = Subject(image.repository, content.digest, image.tag)
        return await ledger.verdict(subject, Question()) is not None

    def requests(self) -> int:
        queue = self.home.backends.queue
        assert isinstance(queue, MemoryQueue)
        steps = queue.carried.steps()
        return sum(each.published for each in steps if each.kind is StepKind.REQUEST)


@pytest.fixture
async def warm(tmp_path: Path) -> AsyncIterator[Warm]:
    async with house(tmp_path) as home, intake(home) as sites:
        yield Warm(home=home, url=sites.events.url)


async def test_a_registrys_event_makes_the_first_pod_pass_at_once(warm: Warm) -> None:
    image = warm.home.registry.put(CONTENT, "team/app:1")
    assert await warm.announce(image, CONTENT) == 202
    await eventually(lambda: warm.judged(image, CONTENT))
    asked = len(warm.home.registry.requests)
    assert (await warm.home.review(str(image))).allowed
    assert (warm.requests(), len(warm.home.registry.requests)) == (1, asked)


async def test_a_review_of_an_image_that_stands_in_the_line_of_pushes_asks_on_the_lane_for_people(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, worker=False, wait=0.1) as home, intake(home) as sites:
        warm = Warm(home=home, url=sites.events.url)
        image = home.registry.put(CONTENT, "team/app:1")
        for _ in range(3):
            assert await warm.announce(image, CONTENT) == 202
            assert (await home.review(str(image))).code == 429
        lanes = (await home.backends.queue.depths()).lanes
        assert {each.lane: each.ready for each in lanes if each.ready} == {
            Lane.PREWARM: 1,
            Lane.ADMISSION: 1,
        }


async def test_a_pipelines_event_does_so_too_by_tag_and_by_digest(warm: Warm) -> None:
    image = warm.home.registry.put(CONTENT, "team/app:1")
    pinned = parse_reference(f"{image.repository}@{CONTENT.digest}")
    for each in (image, pinned):
        assert await warm.tell(f'{{"reference": "{each}"}}'.encode()) == 202
        await eventually(lambda each=each: warm.judged(each, CONTENT))
        assert (await warm.home.review(str(each))).allowed
    assert warm.requests() == 2


async def test_an_event_that_overtakes_its_tag_warms_the_new_image(warm: Warm) -> None:
    old = tiny_image(config={"User": "before"})
    image = warm.home.registry.put(old, "team/app:1")
    assert await warm.announce(image, CONTENT) == 202
    await eventually(lambda: bool(warm.home.registry.asked("manifests", method="HEAD")))
    warm.home.registry.put(CONTENT, "team/app:1")
    await eventually(lambda: warm.judged(image, CONTENT))
    assert set(warm.home.anchore.store.submits) == {CONTENT.digest}


async def test_events_and_reviews_of_one_image_at_once_submit_it_once(warm: Warm) -> None:
    image = warm.home.registry.put(CONTENT, "team/app:1")
    warm.home.anchore.store.settle_after(0.3)
    asking = [warm.announce(image, CONTENT) for _ in range(20)]
    reviews = [warm.home.review(str(image)) for _ in range(20)]
    statuses, answers = await asyncio.gather(asyncio.gather(*asking), asyncio.gather(*reviews))
    assert set(statuses) == {202}
    assert {answer.code for answer in answers} <= {200, 429}
    assert (await warm.home.settled(str(image))).allowed
    assert list(warm.home.anchore.store.submits.values()) == [1]


async def test_a_forged_event_makes_no_verdict_and_moves_no_pointer(warm: Warm) -> None:
    image = warm.home.registry.put(CONTENT, "team/app:1")
    evil = tiny_image(config={"User": "root"})
    assert await warm.announce(image, evil) == 202
    await eventually(lambda: warm.judged(image, CONTENT))
    assert not await warm.judged(image, evil)
    assert evil.digest not in warm.home.anchore.store.submits
    assert (await warm.home.review(str(image))).allowed
