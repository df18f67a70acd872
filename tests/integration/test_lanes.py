"""People first, on real servers: places of prewarm, scans that people take over, budgets of
namespaces."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.worker.chains import PLACES
from shared.domain.reference import ImageReference
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.claims import MAX_OF_A_TENANT
from shared.runtime.clock import SystemClock
from tests.fakes.images import Content, tiny_image
from tests.house import CONTROLLER, House, house, pod, review_of
from tests.integration.test_degradation import real_backends
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.servers

CROWD = 3 * PLACES
WITHIN = 60.0
"""Seconds: what was put off comes again after half a minute at most."""


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def home(redis: RedisServer, rabbit: RabbitServer, tmp_path: Path) -> AsyncIterator[House]:
    """Its analyses take until somebody says that they are over."""
    async with (
        real_backends(redis, rabbit) as backends,
        house(tmp_path, backends=backends, analysis_seconds=None) as home,
    ):
        yield home


def _new(home: House, number: int) -> tuple[ImageReference, Content]:
    content = tiny_image(config={"Labels": {"number": str(number)}})
    return home.registry.put(content, f"team/app{number}:1"), content


async def _push(home: House, reference: ImageReference) -> None:
    await home.backends.queue.publish(
        Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.PREWARM,
            reference=str(reference),
            question=Question(),
            first_seen=SystemClock().now(),
            why=Why.PREWARM,
        )
    )


def _review(image: object, namespace: str = "team") -> dict[str, Any]:
    review = review_of(pod(str(image)), user=CONTROLLER)
    review["request"]["namespace"] = namespace
    return review


async def test_a_crowd_of_pushes_leaves_room_for_people_and_is_judged_in_the_end(
    home: House,
) -> None:
    store = home.anchore.store
    for number in range(CROWD):
        await _push(home, _new(home, number)[0])
    await eventually(lambda: store.submits.total() == PLACES)
    wanted, content = _new(home, CROWD)
    assert (await home.ask(_review(wanted))).code == 429
    await eventually(lambda: store.submits[content.digest] == 1)
    assert store.submits.total() == PLACES + 1
    for image in store.images.values():
        image.settled = "analyzed"
    store.settle_after(0.0)
    await home.asked_until(_review(wanted), lambda answer: answer.allowed)
    await eventually(lambda: store.submits.total() == CROWD + 1, within=WITHIN)
    assert set(store.submits.values()) == {1}


async def test_what_people_want_goes_on_in_their_lane_although_a_push_began_it(
    home: House,
) -> None:
    reference, content = _new(home, 0)
    pinned = f"{reference}@{content.digest}"
    await _push(home, reference)
    await eventually(lambda: _scanned_in(home, Lane.CHECK_PREWARM))
    assert (await home.ask(_review(pinned))).code == 429
    await eventually(lambda: _scanned_in(home, Lane.CHECK))
    home.anchore.store.finish(content.digest)
    await home.asked_until(_review(pinned), lambda answer: answer.allowed, within=WITHIN)
    assert home.anchore.store.submits.total() == 1


async def test_a_namespace_with_too_many_new_images_waits_and_no_other_does(home: House) -> None:
    store = home.anchore.store
    contents = []
    for number in range(MAX_OF_A_TENANT):
        reference, content = _new(home, number)
        contents.append(content)
        assert (await home.ask(_review(reference))).code == 429
    await eventually(lambda: store.submits.total() == MAX_OF_A_TENANT)
    more, content = _new(home, MAX_OF_A_TENANT)
    answer = await home.ask(_review(more))
    assert (answer.code, "as many as one may have" in answer.message) == (429, True)
    assert (await home.ask(_review(more, namespace="other"))).code == 429
    await eventually(lambda: store.submits[content.digest] == 1)
    for each in contents:
        store.finish(each.digest)
    store.settle_after(0.0)
    last = _new(home, MAX_OF_A_TENANT + 1)[0]
    await home.asked_until(_review(last), lambda answer: answer.allowed, within=WITHIN)


async def _scanned_in(home: House, lane: Lane) -> bool:
    return set(await home.backends.leases.oldest()) == {lane}
