"""Decisions and presence in a real Redis: bounded, whatever others write, and in nobody's way."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from services.cli.local.wiring import make_keys
from services.console.rows import NOT_BELIEVED
from shared.adapters.entries import MAX_BEAT_BYTES, MAX_DECISION_BYTES
from shared.adapters.redis_store.presence import RedisPresence
from shared.domain.errors import StoreError, StoreRefused
from shared.domain.signing import Role
from shared.ports.decisions import MAX_DECISIONS
from shared.ports.presence import GONE_AFTER, MAX_PRESENT
from shared.ports.verdicts import Put
from tests.contract.stores import beat, decision, sealed
from tests.functional.cli.commands import imagegate
from tests.integration.redis_process import KEY, Redis, kind, working
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.servers

STREAM = "ig1:decisions"
BEATS = "ig1:beats"
WHEN = "ig1:beats:when"
FAR = 4_000_000_000_000


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "server") as started:
        yield started


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    shared_server.command("FLUSHALL")
    shared_server.command("CONFIG", "SET", "maxmemory", 0)
    return shared_server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with working(server) as opened:
        yield opened


async def _recent(redis: Redis, *, limit: int = 100) -> list[str]:
    return [one.decision.name for one in await redis.decisions.recent(limit=limit)]


async def _alive(redis: Redis) -> list[str]:
    return [one.beat.name for one in await redis.presence.alive()]


def _written(server: RedisServer, written: bytes | str, *, field: str = "decision") -> None:
    server.command("XADD", STREAM, "*", field, written)


# Bounded


async def test_however_many_decisions_are_written_about_the_last_two_thousand_are_kept(
    server: RedisServer, redis: Redis
) -> None:
    largest = decision("a", images=("x" * 512,) * 12)
    for _ in range(3 * MAX_DECISIONS // 100):
        await redis.decisions.write([largest] * 100)
    assert MAX_DECISIONS <= server.command("XLEN", STREAM) <= MAX_DECISIONS + 100
    assert server.command("MEMORY", "USAGE", STREAM) < 1.2 * MAX_DECISIONS * MAX_DECISION_BYTES
    ids = [one.id for one in await redis.decisions.recent(limit=10 * MAX_DECISIONS)]
    assert len(ids) == len(set(ids)) == server.command("XLEN", STREAM)


async def test_small_decisions_are_bounded_as_well(server: RedisServer, redis: Redis) -> None:
    await redis.decisions.write([decision(f"{n}") for n in range(MAX_DECISIONS)])
    for n in range(30):
        await redis.decisions.write([decision(f"later {n}")] * 20)
    assert MAX_DECISIONS <= server.command("XLEN", STREAM) <= MAX_DECISIONS + 100


async def test_a_full_house_of_processes_is_listed_in_time(redis: Redis) -> None:
    for start in range(0, MAX_PRESENT, 100):
        names = [f"worker@host:{n}:ab" for n in range(start, start + 100)]
        await asyncio.gather(*(redis.presence.beat(beat(name)) for name in names))
    assert len(await _alive(redis)) == MAX_PRESENT


async def test_when_nobody_beats_any_more_nothing_of_the_beats_is_left(
    server: RedisServer, redis: Redis
) -> None:
    await redis.presence.beat(beat("a"))
    for key in (BEATS, WHEN):
        assert GONE_AFTER / 2 < server.command("PTTL", key) <= GONE_AFTER
    await RedisPresence(links=redis.links, gone_after=50).beat(beat("a"))
    await asyncio.sleep(0.1)
    assert server.command("EXISTS", BEATS, WHEN) == 0


async def test_beats_of_the_gone_are_removed_and_not_only_hidden(
    server: RedisServer, redis: Redis
) -> None:
    await redis.presence.beat(beat("gone"))
    server.command("ZINCRBY", WHEN, -GONE_AFTER, "gone")
    await redis.presence.beat(beat("a"))
    assert server.command("HKEYS", BEATS) == ["a"]
    assert server.command("ZRANGE", WHEN, 0, -1) == ["a"]


# What others wrote


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 4_000,
        b"{}",
        b'{"at": "yesterday"}',
        msgspec.json.encode(decision("x" * MAX_DECISION_BYTES)),
    ],
)
async def test_a_decision_that_cannot_be_read_is_left_out_and_the_others_are_told(
    server: RedisServer, redis: Redis, written: bytes
) -> None:
    await redis.decisions.write([decision("a")])
    _written(server, written)
    await redis.decisions.write([decision("b")])
    assert await _recent(redis) == ["b", "a"]


async def test_behind_hundreds_of_entries_that_cannot_be_read_the_others_are_found(
    server: RedisServer, redis: Redis
) -> None:
    await redis.decisions.write([decision("a"), decision("b")])
    flood = "for n = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'decision', n) end"
    server.command("EVAL", flood, 1, STREAM)
    assert await _recent(redis, limit=1) == ["b"]


async def test_an_entry_of_another_shape_is_left_out(server: RedisServer, redis: Redis) -> None:
    _written(server, "{}", field="another")
    await redis.decisions.write([decision("a")])
    assert await _recent(redis) == ["a"]


async def test_fields_of_a_newer_version_are_passed_over(server: RedisServer, redis: Redis) -> None:
    newer = msgspec.to_builtins(decision("a")) | {"mood": "good"}
    _written(server, msgspec.json.encode(newer))
    assert await _recent(redis) == ["a"]


async def test_entries_of_megabytes_are_not_carried_to_whoever_looks(
    server: RedisServer, redis: Redis
) -> None:
    await redis.presence.beat(beat("a"))
    when = int(server.command("ZSCORE", WHEN, "a"))
    for n in range(4):
        _written(server, "x" * 2**20)
        server.command("HSET", BEATS, f"huge {n}", "x" * 2**20)
        server.command("ZADD", WHEN, when, f"huge {n}")
    await redis.decisions.write([decision("a")])
    assert await _recent(redis) == ["a"]
    assert await _alive(redis) == ["a"]


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"nonsense",
        b"\xff",
        b'{"name": "stranger"}',
        msgspec.json.encode(beat("somebody else")),
        msgspec.json.encode(beat("stranger", service="x" * MAX_BEAT_BYTES)),
    ],
)
async def test_a_beat_that_cannot_be_read_or_is_of_another_name_is_left_out(
    server: RedisServer, redis: Redis, written: bytes
) -> None:
    await redis.presence.beat(beat("a"))
    (_, when) = server.command("ZRANGE", WHEN, 0, -1, "WITHSCORES")
    server.command("HSET", BEATS, "stranger", written)
    server.command("ZADD", WHEN, when, "stranger")
    assert await _alive(redis) == ["a"]


async def test_whoever_was_heard_in_the_future_is_nobody_and_is_removed(
    server: RedisServer, redis: Redis
) -> None:
    await redis.presence.beat(beat("a"))
    await redis.presence.beat(beat("b"))
    server.command("ZADD", WHEN, 9_999_999_999_999, "a")
    server.command("ZADD", WHEN, "+inf", "stranger")
    assert await _alive(redis) == ["b"]
    await redis.presence.beat(beat("b"))
    assert server.command("ZRANGE", WHEN, 0, -1) == ["b"]
    await redis.presence.beat(beat("a"))
    assert await _alive(redis) == ["a", "b"]


async def test_a_flood_of_strangers_is_pushed_out_by_those_who_beat(
    server: RedisServer, redis: Redis
) -> None:
    await redis.presence.beat(beat("a"))
    flood = "for n = 1, 5000 do redis.call('ZADD', KEYS[1], ARGV[1], 'stranger ' .. n) end"
    when = int(server.command("ZSCORE", WHEN, "a"))
    server.command("EVAL", flood, 1, WHEN, when)
    for _ in range(5):
        await redis.presence.beat(beat("a"))
    assert server.command("ZCARD", WHEN) == MAX_PRESENT
    assert await _alive(redis) == ["a"]


async def test_keys_of_another_type_are_an_error_and_nothing_else_suffers(
    server: RedisServer, redis: Redis
) -> None:
    for key in (STREAM, BEATS, WHEN):
        server.command("DEL", key)
        server.command("SET", key, "a string")
    calls = (
        redis.decisions.write([decision("a")]),
        redis.decisions.recent(limit=5),
        redis.presence.beat(beat("a")),
        redis.presence.goodbye("a"),
        redis.presence.alive(),
    )
    assert [await kind(call) for call in calls] == [StoreError] * len(calls)
    assert await redis.put(order=2) is Put.WRITTEN


# A full server


async def test_a_full_server_refuses_the_whole_batch_and_the_whole_beat_and_forgets_nothing(
    server: RedisServer, redis: Redis
) -> None:
    await redis.decisions.write([decision("before")])
    await redis.presence.beat(beat("a", version="before"))
    server.command("CONFIG", "SET", "maxmemory", 1)
    assert await kind(redis.decisions.write([decision("b"), decision("c")])) is StoreRefused
    assert await kind(redis.presence.beat(beat("a", version="after"))) is StoreRefused
    assert await _recent(redis) == ["before"]
    assert [one.beat.version for one in await redis.presence.alive()] == ["before"]
    await redis.presence.goodbye("a")
    assert await _alive(redis) == []


async def test_with_volatile_eviction_a_full_server_drops_beats_and_never_decides_without_steps(
    server: RedisServer, redis: Redis
) -> None:
    await redis.presence.beat(beat("a"))
    server.command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    server.command("CONFIG", "SET", "maxmemory", 1)
    try:
        await kind(redis.presence.beat(beat("a")))
        assert await redis.claims.overdue(age=10**9, limit=5) == []
        assert server.command("HLEN", "ig1:steps") == 1
    finally:
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


# Looked at


async def test_the_commands_that_show_records_need_no_broker(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    make_keys(tmp_path / "keys", role=Role.WORKER)
    await redis.store.put(sealed(1), key=KEY, ends=FAR)
    await redis.decisions.write([decision("web-1"), decision("web-2")])
    ran = await imagegate("decisions", "-o", "json", state=tmp_path, REDIS_URL=server.url)
    assert (ran.code, ran.err) == (0, "")
    assert [row["decision"]["name"] for row in json.loads(ran.out)] == ["web-2", "web-1"]
    ran = await imagegate("verdicts", "-o", "json", state=tmp_path, REDIS_URL=server.url)
    assert (ran.code, ran.err) == (0, "")
    assert [row["outcome"] for row in json.loads(ran.out)] == [NOT_BELIEVED]
