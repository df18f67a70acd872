"""Workers stop while hundreds of analyses are under way: nothing waits for them, nothing is lost.

RabbitMQ, Redis, two workers and a fake Anchore as processes (docs/design/budgets.md, "Drain").
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.ports.steps import Depths
from shared.runtime.clock import SystemClock
from tests.bench.backlog import backlog
from tests.bench.site import Site, site
from tests.waiting import eventually

pytestmark = pytest.mark.servers

IMAGES = 300
POLLS = "10"
"""So few a second that checks stand in line for their turns when the workers are told to stop."""

NEVER = 3_600.0
"""Seconds that an analysis takes."""

GONE = 20.0
"""Seconds: less than a worker has for what it has in hand, with room for a busy machine."""

PATIENCE = 150.0
"""Seconds: longer than a check waits for its next turn."""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(
        tmp_path, webhooks=0, workers=2, environment={"IMAGEGATE_POLLS": POLLS}
    ) as running:
        await running.order("settle_after", seconds=NEVER)
        yield running


async def test_workers_told_to_stop_among_hundreds_of_analyses_leave_each_check_to_the_next(
    running: Site,
) -> None:
    queue = RabbitQueue(running.rabbit.url, clock=SystemClock())
    async with backlog(running) as log, queue.connect():
        await queue.connected(timeout=60)
        images = log.images(IMAGES)
        await log.publish(images)
        await log.until_submitted(images, IMAGES)
        workers = [running.programs[name] for name in ("worker0", "worker1")]
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(GONE):
            assert [await worker.wait() for worker in workers] == [0, 0]

        async def each_has_its_check() -> bool:
            # More when a confirm came late or an ack did not arrive: those steps are there twice.
            # That no image is without one, the verdicts show.
            return _steps(await queue.depths()) >= IMAGES

        await eventually(each_has_its_check)
        assert (await queue.depths()).dead == 0
        for image in images:
            await running.order("finish", digest=image.subject.digest)
        await running.programs.start_worker("another")
        assert await log.wait(images, within=PATIENCE) == []
        assert max(await log.submits(images)) == 1


def _steps(depths: Depths) -> int:
    """All that stand in lanes and delays."""
    return sum(lane.ready for lane in depths.lanes) + sum(depths.delayed.values())
