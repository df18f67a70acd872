"""A process of ours and a real Redis: killed, told to stop, and with the server hung or away."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.domain.step import Lane
from shared.ports.presence import BEAT_EVERY
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

GONE_AFTER = 6_000
"""Milliseconds of silence after which these tests take a process for gone."""

PROGRAM = """
import sys

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.ports.carried import Carried
from shared.runtime import pulse
from shared.runtime.lifecycle import run
from shared.runtime.metrics import Metrics

if "patient" in sys.argv:
    pulse.GOODBYE_LIMIT = 30.0


async def serve(life):
    async with (
        RedisLinks(url=sys.argv[1], limit=10.0) as links,
        pulse.pulse_of(
            service="worker",
            presence=RedisPresence(links=links),
            checks={"store": links.ping},
            metrics=Metrics(),
            life=life,
            carried=Carried(),
        ),
    ):
        print("serves", flush=True)
        return await life.until_stopped()


sys.exit(run(serve, drain_deadline=5))
"""

ENDS_WITHIN = 10.0
"""Seconds: a goodbye and the closing of connections take one or two; the machine may be busy."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as started:
        yield started


@pytest.fixture
async def presence(server: RedisServer) -> AsyncIterator[RedisPresence]:
    async with RedisLinks(url=server.url, limit=PATIENCE) as links:
        yield RedisPresence(links=links, gone_after=GONE_AFTER)


@asynccontextmanager
async def process(server: RedisServer, *how: str) -> AsyncIterator[Process]:
    """A process that beats; `patient` has all the time for its goodbye."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, server.url, *how, stdout=PIPE, stderr=DEVNULL
    )
    assert child.stdout is not None
    try:
        assert await child.stdout.readline() == b"serves\n"
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _alive(presence: RedisPresence) -> list[str]:
    return [one.beat.name for one in await presence.alive()]


async def test_a_process_is_seen_with_its_process_id_and_what_it_has_in_hand(
    server: RedisServer, presence: RedisPresence
) -> None:
    async with process(server) as child:
        await eventually(lambda: _is_one(presence))
        (one,) = await presence.alive()
        assert f":{child.pid}:" in one.beat.name
        assert one.beat.away == ()
        assert one.beat.in_hand == dict.fromkeys(Lane, 0)
        assert one.seen < GONE_AFTER


async def test_a_killed_process_is_gone_after_its_silence_and_not_before(
    server: RedisServer, presence: RedisPresence
) -> None:
    async with process(server) as child:
        await eventually(lambda: _is_one(presence))
        child.kill()
        await child.wait()
        asked = time.monotonic()
        (last,) = await presence.alive()
        await eventually(lambda: _is_none(presence))
        assert last.seen + 1_000 * (time.monotonic() - asked) > GONE_AFTER - 50


async def test_a_process_that_is_told_to_stop_is_gone_at_once(
    server: RedisServer, presence: RedisPresence
) -> None:
    async with process(server, "patient") as child:
        await eventually(lambda: _is_one(presence))
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await child.wait() == 0
        assert await _alive(presence) == []
        assert server.command("EXISTS", "ig1:beats", "ig1:beats:when") == 0


@pytest.mark.parametrize("away", ["hung", "down"])
async def test_a_process_that_is_told_to_stop_while_redis_is_away_ends_in_time(
    server: RedisServer, presence: RedisPresence, away: str
) -> None:
    async with process(server) as child:
        await eventually(lambda: _is_one(presence))
        if away == "hung":
            server.pause()
        else:
            server.kill()
        await asyncio.sleep(BEAT_EVERY)
        assert child.returncode is None
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(ENDS_WITHIN):
            assert await child.wait() == 0


async def test_a_process_that_started_without_redis_is_seen_when_it_is_there(
    server: RedisServer, presence: RedisPresence
) -> None:
    server.kill()
    async with process(server):
        await asyncio.sleep(0.5)
        server.start_again()
        await eventually(lambda: _is_one(presence))


async def _is_one(presence: RedisPresence) -> bool:
    return len(await _alive(presence)) == 1


async def _is_none(presence: RedisPresence) -> bool:
    return await _alive(presence) == []
