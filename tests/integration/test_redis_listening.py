"""Announcements through every interruption: one gap each, and then heard again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from tests.contract.stores import Ear, listening
from tests.integration.redis_process import KEY, OTHER, Redis, patient, working
from tests.servers.redis import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.servers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as started:
        yield started


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with working(server) as opened:
        yield opened


async def test_after_a_kill_the_listener_gets_one_gap_and_hears_again(
    server: RedisServer, redis: Redis
) -> None:
    async with listening(redis.store) as ear:
        server.restart()
        await ear.until(None, None)
        await redis.put(OTHER)
        await ear.until(None, None, OTHER)


async def test_after_a_long_time_down_the_listener_gets_one_gap_and_hears_again(
    server: RedisServer, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(redis.store) as ear:
        server.kill()
        await asyncio.sleep(2)
        assert ear.heard == [None]
        server.start_again()
        await ear.until(None, None)
        await redis.put(OTHER)
        await ear.until(None, None, OTHER)
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == ["announcements are interrupted"]


async def test_a_hang_of_the_server_is_noticed_and_ends_with_a_gap(
    server: RedisServer, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(redis.store) as ear:
        with server.paused():
            await eventually(lambda: "announcements are interrupted" in caplog.messages)
        await ear.until(None, None)
        await redis.put(OTHER)
        await ear.until(None, None, OTHER)


async def test_a_listener_that_the_server_cut_off_gets_one_gap(
    server: RedisServer, redis: Redis
) -> None:
    async with listening(redis.store) as ear:
        server.command("CLIENT", "KILL", "TYPE", "pubsub")
        await ear.until(None, None)
        await redis.put(OTHER)
        await ear.until(None, None, OTHER)


async def test_emptying_the_server_is_no_gap(server: RedisServer, redis: Redis) -> None:
    async with listening(redis.store) as ear:
        server.command("FLUSHALL")
        await redis.put()
        await ear.until(None, KEY)


async def test_a_listener_waits_for_a_server_that_is_not_there_yet(server: RedisServer) -> None:
    server.kill()
    async with patient(server.url) as redis:
        ear = Ear()
        task = asyncio.create_task(redis.store.listen(ear))
        await asyncio.sleep(0.3)
        assert ear.heard == []
        server.start_again()
        await ear.until(None)
        await redis.put()
        await ear.until(None, KEY)
        task.cancel()
        await asyncio.wait({task})


async def test_a_listener_without_the_right_says_so_and_goes_on_trying(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">s3cret", "~*", "+@all", "resetchannels")
    async with RedisLinks(url=server.url_of("webhook", "s3cret")) as links:
        ear = Ear()
        task = asyncio.create_task(RedisVerdictStore(links=links).listen(ear))
        await asyncio.sleep(0.3)
        assert ear.heard == []
        server.command("ACL", "SETUSER", "webhook", "&ig1:*")
        await ear.until(None)
        task.cancel()
        await asyncio.wait({task})
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.message for record in errors] == ["announcements are interrupted"]
    assert all("s3cret" not in str(record.__dict__) for record in caplog.records)


async def test_a_listener_can_be_cancelled_at_any_moment(redis: Redis) -> None:
    for turns in range(120):
        task = asyncio.create_task(redis.store.listen(Ear()))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=10)
        assert task in done, f"after {turns} turns of the loop"


async def test_a_steady_listener_hears_everything_in_the_order_of_the_puts(
    server: RedisServer,
) -> None:
    keys = [f"pointer:{n}" for n in range(300)]
    async with working(server) as redis, listening(redis.store) as ear:
        for key in keys:
            await redis.put(key)
        await ear.until(None, *keys)
