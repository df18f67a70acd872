"""Two workers beside one, with an Anchore that takes its time (see workers)."""

import asyncio
from pathlib import Path

from tests.bench.backlog import Backlog, backlog
from tests.bench.figures import figure, remark
from tests.bench.processes import cpu_seconds
from tests.bench.site import QUIET, Site, site

STEPS = 5_000
CALL = 0.2
"""Seconds that Anchore takes for a call."""

UNBOUND = {"IMAGEGATE_ANCHORE_CALLS": "1000"}
"""Calls a second, so that what they wait for is Anchore and no bound of our own."""

PATIENCE = 400.0


async def two_beside_one(folder: Path) -> None:
    """Print `two_workers_vs_one`."""
    async with (
        site(folder, webhooks=0, workers=0, environment=QUIET | UNBOUND) as running,
        backlog(running) as log,
    ):
        await running.order("slow", seconds=CALL)
        remark(f"{STEPS} requests of images that Anchore knows, {CALL * 1000:g} ms a call")
        one = await _emptied(running, log, "alone")
        two = await _emptied(running, log, "left", "right")
    figure("backlog_of_5000_seconds_of_one", one, "s")
    figure("backlog_of_5000_seconds_of_two", two, "s")
    figure("two_workers_vs_one", two / one, "", goal="<= 0.6")


async def _emptied(running: Site, log: Backlog, *workers: str) -> float:
    """Seconds that the workers take for a backlog, from its first verdict to its last."""
    images = log.images(STEPS)
    known = {each.subject.digest: each.subject.scan_tag for each in images}
    await running.order("know_all", images=known)
    await log.publish(images)
    await asyncio.gather(*(running.programs.start_worker(name) for name in workers))
    missing = await log.wait(images, within=PATIENCE)
    assert not missing, f"{len(missing)} images of {STEPS} were not judged in {PATIENCE} s"
    times = (await log.judged(images)).values()
    taken = max(times) - min(times)
    _tell(running, taken, *workers)
    for name in workers:
        await running.programs.end(name)
    return taken


def _tell(running: Site, taken: float, *workers: str) -> None:
    for name in workers:
        share = cpu_seconds(running.programs[name].pid) / taken
        remark(f"{name}: {STEPS / taken:.0f} steps a second, {share:.0%} of a core")
