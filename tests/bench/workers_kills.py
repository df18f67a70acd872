"""Workers and RabbitMQ killed while a backlog is worked off (see workers)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from shared.domain.step import Lane
from tests.bench.backlog import Backlog, Wanted, backlog
from tests.bench.figures import figure, remark
from tests.bench.site import QUIET, Site, site

WORKER_KILLS = 20
BROKER_KILLS = 6
IMAGES = 60
ANALYSIS = 1.0
"""Seconds."""

CALL = 0.1
"""Seconds that Anchore takes for a call, so that a kill finds some under way."""

SLOTS = {"IMAGEGATE_SLOTS": "8", "IMAGEGATE_PREWARM_SLOTS": "8", "IMAGEGATE_PREWARM_ANALYSES": "20"}
"""So few that requests still stand in the line while the first images are judged."""

LANES = (Lane.ADMISSION, Lane.PREWARM)
"""Of the backlogs, in turn: prewarm's has to wait for places besides."""

PATIENCE = 150.0
"""Seconds: longer than the scan record of a lost message lives."""


class Toll(msgspec.Struct):
    """What the kills cost."""

    lost: int = 0
    most: int = 0
    """Submits of one image."""
    slowest: float = 0.0
    """Seconds from a kill to the last verdict of its backlog."""
    done: list[int] = []
    """How many were judged at each kill."""

    async def count(self, log: Backlog, images: list[Wanted], killed: float) -> None:
        """Wait for the verdicts of a backlog that was interrupted at `killed`."""
        self.done.append(sum(at < killed for at in (await log.judged(images)).values()))
        self.lost += len(await log.wait(images, within=PATIENCE))
        self.most = max(self.most, *await log.submits(images))
        self.slowest = max(self.slowest, time.monotonic() - killed)

    def tell(self, what: str) -> None:
        """Print the figures."""
        figure(f"lost_after_{what}_kills", self.lost, "", goal="0")
        figure(f"max_submits_after_{what}_kills", self.most, "", goal="<= 2")
        remark(
            f"{min(self.done)} to {max(self.done)} of {IMAGES} were judged when it was killed, "
            f"all of them {self.slowest:.1f} s later at the latest"
        )


async def kill_workers(folder: Path) -> None:
    """Print `lost_after_20_kills` and `max_submits_after_20_kills`."""
    toll, chance = Toll(), random.Random(20)
    async with _site(folder) as running, backlog(running) as log:
        names = ["worker0", "worker1"]
        for number in range(WORKER_KILLS):
            images = await _half_done(log, LANES[number % 2], chance)
            running.programs[names.pop(0)].kill()
            killed = time.monotonic()
            names.append(f"heir{number}")
            await running.programs.start_worker(names[-1])
            await toll.count(log, images, killed)
    toll.tell("20")


async def kill_brokers(folder: Path) -> None:
    """Print `lost_after_broker_kills` and `max_submits_after_broker_kills`."""
    toll, chance = Toll(), random.Random(6)
    async with _site(folder) as running, backlog(running) as log:
        for number in range(BROKER_KILLS):
            images = await _half_done(log, LANES[number % 2], chance)
            killed = time.monotonic()
            await asyncio.to_thread(running.rabbit.restart)
            await toll.count(log, images, killed)
    toll.tell("broker")


@asynccontextmanager
async def _site(folder: Path) -> AsyncIterator[Site]:
    async with site(folder, webhooks=0, workers=2, environment=QUIET | SLOTS) as running:
        await running.order("settle_after", seconds=ANALYSIS)
        await running.order("slow", seconds=CALL)
        yield running


async def _half_done(log: Backlog, lane: Lane, chance: random.Random) -> list[Wanted]:
    """A backlog of which some is done, some in hand and some not begun."""
    images = log.images(IMAGES)
    await log.publish(images, lane=lane)
    share = chance.randrange(1, IMAGES * 3 // 4)
    if chance.random() < 0.5:
        await log.until_submitted(images, share)
    else:
        await log.until_judged(images, share)
    return images
