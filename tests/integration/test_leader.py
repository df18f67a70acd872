"""Two workers as processes: one leads, and kill -9 of it costs some seconds."""

import signal
from pathlib import Path

import pytest

from services.worker.leader import LIFE
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from tests.bench.site import Site, site
from tests.waiting import eventually

pytestmark = pytest.mark.servers

PATIENCE = 5 * LIFE
"""Seconds: a busy machine is slower than the lease."""


async def leaders(running: Site) -> list[int]:
    """The process ids of those who say that they lead."""
    async with RedisLinks(url=running.redis.url, limit=PATIENCE) as links:
        alive = await RedisPresence(links=links).alive()
    # worker@HOST:PID:RANDOM
    return [int(each.beat.name.split(":")[1]) for each in alive if each.beat.caring is not None]


def pids(running: Site) -> dict[int, str]:
    return {running.programs[name].pid: name for name in ("worker0", "worker1")}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_leader_that_dies_or_stops_is_followed_by_another_worker(
    tmp_path: Path, how: signal.Signals
) -> None:
    async with site(tmp_path, webhooks=1, workers=2) as running:
        known = pids(running)

        async def one_leads() -> bool:
            return len(await leaders(running)) == 1

        await eventually(one_leads, within=PATIENCE)
        (first,) = await leaders(running)
        running.programs[known[first]].send_signal(how)
        (second,) = known.keys() - {first}

        async def another_leads() -> bool:
            return second in await leaders(running)

        await eventually(another_leads, within=PATIENCE)
