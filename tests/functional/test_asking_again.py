"""Whoever asks again and again while a part is away adds nothing to what is on its way."""

import asyncio
from pathlib import Path

from shared.adapters.memory.queue import MemoryQueue
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.step import StepKind
from tests.fakes.images import tiny_image
from tests.fakes.registry import answer
from tests.functional.test_main_job import known_since
from tests.house import CONTROLLER, House, house

ASKS = 7
"""A second apart: a webhook itself asks about an image at most once a second."""

MOST = 5
"""The first request, and its repeats after 1, 2, 5 and, on a slow machine, 10 s."""


def requested(home: House) -> int:
    """Requests that were published, first tries and repeats together."""
    queue = home.backends.queue
    assert isinstance(queue, MemoryQueue)
    steps = queue.carried.steps()
    return sum(each.published for each in steps if each.kind is StepKind.REQUEST)


async def asked_often(home: House, image: str) -> None:
    for _ in range(ASKS):
        denied = await home.review(image, user=CONTROLLER)
        assert denied.code == 429
        await asyncio.sleep(1.05)


async def test_while_anchore_is_away_an_image_has_one_request_on_its_way(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        image = str(home.registry.put(tiny_image(), "team/app:1"))
        await home.anchore.stop()
        await asked_often(home, image)
        assert requested(home) <= MOST
        await home.anchore.start()
        assert (await home.settled(image, within=20)).allowed


async def test_while_a_registry_is_away_an_image_has_one_request_on_its_way(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        image = str(home.registry.put(tiny_image(), "team/app:1"))
        home.registry.fault("manifests", answer(503))
        await asked_often(home, image)
        assert requested(home) <= MOST


async def test_while_a_registry_is_away_an_image_in_use_has_one_renewal_on_its_way(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        content = tiny_image()
        reference = home.registry.put(content, "team/app:1")
        await known_since(home, reference, content.digest, seconds=90 * MINUTE // SECOND)
        home.registry.fault("manifests", answer(503))
        for _ in range(ASKS):
            assert (await home.review(str(reference), user=CONTROLLER)).allowed
            await asyncio.sleep(1.05)
        assert requested(home) <= MOST
