"""Anchore down or lying, through the whole of it (docs/design/behaviour.md 6).

What is known is answered though nobody can judge it anew; what is unknown is refused inside the
review's timeout, and judged once Anchore answers again.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.domain.pointer import DAY, SECOND
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.functional.test_main_job import known_since
from tests.house import CONTROLLER, Answer, House, house
from tests.waiting import eventually

PASSING = ["429", "500", "500-problem", "hang", "cut", "broken", "close", "html"]
"""What another attempt may mend."""

LASTING = ["401", "403", "404-path", "404-image"]
"""What somebody has to set right."""

REVIEW_TIMEOUT = 5.0
"""Seconds: what the API server waits, `?timeout=5s`."""

STALE = 6 * DAY // SECOND
"""Seconds: a verdict of that age is renewed behind each answer, and has a day to live."""


@pytest.fixture(params=["v1", "v2"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, anchore_api=request.param) as running:
        yield running


async def known(home: House) -> str:
    """An image that passed long ago."""
    content = tiny_image(config={"Labels": {"is": "known"}})
    reference = home.registry.put(content, "team/known:1")
    await known_since(home, reference, content.digest, seconds=STALE)
    return f"{reference}@{content.digest}"


def unknown(home: House) -> str:
    content = tiny_image(config={"Labels": {"is": "unknown"}})
    return f"{home.registry.put(content, 'team/unknown:1')}@{content.digest}"


async def in_time(home: House, image: str) -> Answer:
    """A controller's review, answered inside the API server's timeout."""
    async with asyncio.timeout(REVIEW_TIMEOUT):
        return await home.review(image, user=CONTROLLER)


async def asked_in_vain(home: House) -> bool:
    """Whether the error of a judgement that was tried stands beside both images."""
    return len(await home.backends.store.keys("error:", limit=9)) == 2


async def scan_by_hand(home: House, image: str) -> None:
    """As `imagegate scan` does for who set something right and does not want to wait."""
    await home.backends.queue.publish(
        Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.ADMISSION,
            reference=image,
            question=Question(),
            first_seen=SystemClock().now(),
            why=Why.OPERATOR,
        )
    )


async def goes_wrong(home: House, *, old: str, new: str) -> None:
    """Reviews before and after Anchore was asked in vain: only what is known passes."""
    for _ in range(2):
        assert (await in_time(home, old)).allowed
        assert (await in_time(home, new)).code in (403, 429)
        await eventually(lambda: asked_in_vain(home), within=60)


@pytest.mark.parametrize("fault", PASSING)
async def test_what_passes_costs_known_images_nothing_and_unknown_ones_the_wait(
    home: House, fault: str
) -> None:
    old, new = await known(home), unknown(home)
    home.anchore.store.fault("*", fault)
    await goes_wrong(home, old=old, new=new)
    home.anchore.store.heal()
    assert (await home.settled(new, within=60)).allowed


@pytest.mark.parametrize("fault", LASTING)
async def test_what_somebody_must_set_right_costs_known_images_nothing(
    home: House, fault: str
) -> None:
    old, new = await known(home), unknown(home)
    home.anchore.store.fault("*", fault)
    await goes_wrong(home, old=old, new=new)
    home.anchore.store.heal()
    await scan_by_hand(home, new)

    async def judged() -> bool:
        return (await in_time(home, new)).allowed

    await eventually(judged, within=60)
