"""One worker that follows thousands of analyses, and what it adds to ready ones (see workers)."""

import asyncio
import statistics
import time
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec

from tests.bench.backlog import Backlog, Wanted, backlog
from tests.bench.figures import figure, remark
from tests.bench.processes import cpu_seconds, resident_mib
from tests.bench.site import QUIET, Site, metrics, site
from tests.waiting import eventually

ANALYSES = 2_000
WATCHED = 40
"""Seconds."""

KNOWN = 100
WORKER = "worker0"


class Moment(msgspec.Struct):
    """What was counted until now."""

    at: float
    cpu: float
    polls: float
    steps: float

    def since(self, before: "Moment") -> "Moment":
        """What came since `before`, a second."""
        seconds = self.at - before.at
        return Moment(
            at=seconds,
            cpu=(self.cpu - before.cpu) / seconds,
            polls=(self.polls - before.polls) / seconds,
            steps=(self.steps - before.steps) / seconds,
        )


async def follow_and_judge(folder: Path) -> None:
    """Print the figures of one worker."""
    async with (
        site(folder, webhooks=0, workers=1, environment=QUIET) as running,
        backlog(running) as log,
    ):
        remark("a worker, Redis, RabbitMQ and a fake Anchore as processes")
        added = await _added(running, log)
        figure("added_ms_known_analysis", added, "ms", goal="< 150")
        await _follow(running, log)
        beside = await _added(running, log)
        figure("added_ms_known_analysis_beside_2000", beside, "ms")


async def _follow(running: Site, log: Backlog) -> None:
    await running.order("settle_after", seconds=None)
    images = log.images(ANALYSES)
    began = time.monotonic()
    await log.publish(images)

    async def all_under_way() -> bool:
        return sum(await log.submits(images)) >= ANALYSES

    await eventually(all_under_way, within=600)
    again = await _steps(running, "retried")
    remark(f"{ANALYSES} begun after {time.monotonic() - began:.0f} s, {again:g} steps tried again")
    await asyncio.sleep(5.0)
    first = await _now(running)
    most = 0.0
    while time.monotonic() < first.at + WATCHED:
        most = max(most, resident_mib(running.programs[WORKER].pid))
        await asyncio.sleep(0.5)
    rates = (await _now(running)).since(first)
    figure("worker_rss_mib_2000_analyses", most, "MiB", goal="< 200")
    figure("polls_per_second_2000_analyses", rates.polls, "1/s", goal="<= 20")
    figure("steps_per_second_2000_analyses", rates.steps, "1/s")
    figure("cpu_share_2000_analyses", rates.cpu, "of a core")
    submits = max(await log.submits(images))
    assert submits == 1, f"an image was submitted {submits} times"


async def _now(running: Site) -> Moment:
    calls = (await running.anchore_counters())["calls"]
    return Moment(
        at=time.monotonic(),
        cpu=cpu_seconds(running.programs[WORKER].pid),
        polls=calls["image_get"],
        steps=await _steps(running),
    )


async def _steps(running: Site, *outcomes: str) -> float:
    """Deliveries that the worker has ended."""
    return await metrics(running.health[0], "imagegate_steps_total", *outcomes)


async def _added(running: Site, log: Backlog) -> float:
    """Milliseconds from a request to the announcement of its verdict, without Anchore's: the
    median of images that Anchore has analysed before, one after the other."""
    images = log.images(KNOWN)
    known = {each.subject.digest: each.subject.scan_tag for each in images}
    await running.order("know_all", images=known)
    wholes, anchores = [], []
    login = aiohttp.BasicAuth("admin", "foobar")
    async with aiohttp.ClientSession(running.anchore, auth=login) as session:
        for image in images:
            wholes.append(await _judged_after(log, image))
            anchores.append(await _asked(session, image))
    remark(
        f"{statistics.median(wholes):.1f} ms from request to verdict, of which Anchore's two "
        f"calls take {statistics.median(anchores):.1f} ms"
    )
    return statistics.median(mine - its for mine, its in zip(wholes, anchores, strict=True))


async def _judged_after(log: Backlog, image: Wanted) -> float:
    """Milliseconds."""
    began = time.monotonic()
    await log.publish([image])
    missing = await log.wait([image], within=30)
    assert not missing, "an image that Anchore knows is not judged"
    return ((await log.judged([image]))[image] - began) * 1000


async def _asked(session: aiohttp.ClientSession, image: Wanted) -> float:
    """Milliseconds that Anchore takes for the two questions alone."""
    path = f"/v1/images/{image.subject.digest}"
    began = time.monotonic()
    for question in (
        path,
        f"{path}/check?tag={quote(image.subject.scan_tag, safe='')}&detail=true",
    ):
        async with session.get(question) as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()
    return (time.monotonic() - began) * 1000
