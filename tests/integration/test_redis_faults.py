"""Redis down, hung, read-only, full, refusing us, restarted, emptied: said as what it is, in time.

docs/design/behaviour.md 6 and docs/design/broker-facts.md 8.12. A second is the contract's
deadline for every call, whatever the server does.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.errors import (
    StoreError,
    StoreMisconfigured,
    StoreRefused,
    StoreUnreachable,
)
from shared.domain.step import Lane
from shared.ports.claims import Claim, Hold
from shared.ports.verdicts import Put
from tests.contract.stores import MINUTE, Ear, listening, sealed, step
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.servers

KEY = "pointer:registry.test/app:1"
OTHER = "pointer:registry.test/other:1"
SCAN = "scan:registry.test/app@sha256:1"
LISTED_RIGHTS = (
    "+mget +evalsha +script|load +ping +scan +subscribe",
    "+get +set +del +exists +getrange +publish +pexpire +time",
    "+hget +hmget +hset +hdel +hexists +hlen +zadd +zrem +zscore +zrange +zrangebyscore",
)
"""As in shared/adapters/redis_store/scripts.py."""

Answer = TypeVar("Answer")


class Redis:
    """One process' links and what is built on them."""

    def __init__(self, links: RedisLinks) -> None:
        self.links = links
        self.store = RedisVerdictStore(links=links)
        self.claims = RedisRequestClaims(links=links)
        self.leases = RedisScanLeases(links=links)

    async def put(self, key: str = KEY, *, order: int = 1) -> Put:
        return await self.store.put(sealed(order), key=key, ends=_now() + MINUTE)

    async def hold(self) -> Hold:
        return await self.leases.hold(
            SCAN, chain="chain", hop=0, life=MINUTE, lane=Lane.CHECK, first_seen=1
        )

    async def claim(self, key: str = "claim") -> Claim:
        return await self.claims.claim(key, step("a"), life=MINUTE)


READS: dict[str, Callable[[Redis], Awaitable[object]]] = {
    "read": lambda redis: redis.store.read([KEY]),
    "keys": lambda redis: redis.store.keys("", limit=5),
    "ping": lambda redis: redis.store.ping(),
}
WRITES: dict[str, Callable[[Redis], Awaitable[object]]] = {
    "put": lambda redis: redis.put(order=99),
    "hold": lambda redis: redis.hold(),
    "claim": lambda redis: redis.claim("another"),
    "overdue": lambda redis: redis.claims.overdue(age=0, limit=5),
}
OTHERS: dict[str, Callable[[Redis], Awaitable[object]]] = {
    "release": lambda redis: redis.leases.release(SCAN, chain="chain"),
    "drop": lambda redis: redis.claims.drop("claim"),
    "begin": lambda redis: redis.claims.begin("claim"),
    "oldest step": lambda redis: redis.claims.oldest(),
    "oldest scan": lambda redis: redis.leases.oldest(),
}
CALLS = READS | WRITES | OTHERS


def _now() -> int:
    return time.time_ns() // 1_000_000


async def _in_time(call: Awaitable[Answer]) -> Answer:
    async with asyncio.timeout(1):
        return await call


async def _kind(call: Awaitable[object]) -> type[StoreError] | None:
    """What a call raised, within the deadline."""
    try:
        await _in_time(call)
    except StoreError as error:
        return type(error)
    return None


async def _kinds(
    redis: Redis, calls: dict[str, Callable[[Redis], Awaitable[object]]]
) -> dict[str, type[StoreError] | None]:
    return {name: await _kind(call(redis)) for name, call in calls.items()}


def _each(
    kind: type[StoreError] | None, calls: dict[str, Callable[[Redis], Awaitable[object]]]
) -> dict[str, type[StoreError] | None]:
    return dict.fromkeys(calls, kind)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as started:
        yield started


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    """Links that have worked: a record, a claim and their scripts are on the server."""
    async with RedisLinks(url=server.url) as links:
        opened = Redis(links)
        await opened.put()
        await opened.claim()
        await _kinds(opened, OTHERS | {"overdue": WRITES["overdue"]})
        await opened.hold()
        await opened.claim()
        yield opened


# Down and hung


async def test_a_server_that_is_down_is_unreachable_for_every_call(
    server: RedisServer, redis: Redis
) -> None:
    server.kill()
    assert await _kinds(redis, CALLS) == _each(StoreUnreachable, CALLS)


async def test_links_are_made_without_a_server_and_find_it_when_it_is_there(
    server: RedisServer,
) -> None:
    server.kill()
    async with RedisLinks(url=server.url) as links:
        redis = Redis(links)
        assert await _kinds(redis, CALLS) == _each(StoreUnreachable, CALLS)
        server.start_again()
        assert await _kinds(redis, CALLS) == _each(None, CALLS)


async def test_a_hung_server_is_unreachable_for_every_call(
    server: RedisServer, redis: Redis
) -> None:
    with server.paused():
        assert await _kinds(redis, CALLS) == _each(StoreUnreachable, CALLS)


async def test_a_hung_server_that_was_never_connected_is_unreachable(server: RedisServer) -> None:
    with server.paused():
        async with RedisLinks(url=server.url) as links:
            assert await _kinds(Redis(links), CALLS) == _each(StoreUnreachable, CALLS)


async def test_of_a_thousand_calls_to_a_hung_server_each_is_told_in_time(
    server: RedisServer, redis: Redis
) -> None:
    with server.paused():
        reads = [_kind(redis.store.read([f"{KEY}{n}"])) for n in range(500)]
        claims = [_kind(redis.claim(f"claim {n}")) for n in range(500)]
        kinds = await asyncio.gather(*reads, *claims)
    assert set(kinds) == {StoreUnreachable}


async def test_a_read_of_many_keys_from_a_hung_server_ends_in_time(
    server: RedisServer, redis: Redis
) -> None:
    with server.paused():
        kind = await _kind(redis.store.read([f"{KEY}{n}" for n in range(5_000)]))
    assert kind is StoreUnreachable


async def test_after_a_hang_everything_works_again(server: RedisServer, redis: Redis) -> None:
    with server.paused():
        await _kinds(redis, CALLS)
    await asyncio.sleep(1)
    assert await _kinds(redis, CALLS) == _each(None, CALLS)


async def test_callers_that_give_up_during_a_hang_cost_no_connection(
    server: RedisServer, redis: Redis
) -> None:
    for _ in range(3):
        with server.paused():
            calls = [asyncio.ensure_future(redis.claim(f"claim {n}")) for n in range(20)]
            calls += [asyncio.ensure_future(redis.claim(f"claim {n}")) for n in range(20)]
            await asyncio.sleep(0.03)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        await asyncio.sleep(0.2)
    answers = await _in_time(asyncio.gather(*(redis.claim(f"again {n}") for n in range(50))))
    assert set(answers) == {Claim.TAKEN}


async def test_links_to_a_hung_server_can_be_closed(server: RedisServer) -> None:
    links = RedisLinks(url=server.url)
    redis = Redis(links)
    await redis.put()
    await redis.store.read([KEY])
    with server.paused():
        reads = [asyncio.ensure_future(redis.store.read([KEY])) for _ in range(5)]
        claims = [asyncio.ensure_future(redis.claim()) for _ in range(5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(2):
            await links.aclose()
        ended = await _in_time(asyncio.gather(*reads, *claims, return_exceptions=True))
    assert {type(end) for end in ended} == {StoreUnreachable}


async def test_a_script_that_holds_the_server_makes_it_unreachable(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "busy-reply-threshold", 20)

    def hold() -> None:
        with suppress(Exception):
            server.command("EVAL", "while true do end", 0)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        await asyncio.sleep(0.3)
        busy = READS | {"put": WRITES["put"]}
        assert await _kinds(redis, busy) == _each(StoreUnreachable, busy)
    finally:
        server.command("SCRIPT", "KILL")
        await asyncio.to_thread(holding.join)


# Restarted and emptied


async def test_a_connection_that_the_server_closed_is_healed_without_a_word(
    server: RedisServer, redis: Redis
) -> None:
    for _ in range(3):
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await _kinds(redis, CALLS) == _each(None, CALLS)


async def test_a_restarted_server_with_a_file_has_everything_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", persistent=True) as server:
        async with RedisLinks(url=server.url) as links:
            redis = Redis(links)
            await redis.put()
            await redis.claim()
            await redis.hold()
            server.restart()
            assert await redis.store.read([KEY]) == [sealed(1)]
            assert await redis.put() is Put.OLDER
            assert await redis.claims.overdue(age=0, limit=5) == [step("a")]
            assert await redis.leases.oldest() == {Lane.CHECK: 1}


async def test_a_restarted_server_without_a_file_knows_nothing_and_learns_again(
    server: RedisServer, redis: Redis
) -> None:
    server.restart()
    assert await redis.store.read([KEY]) == [None]
    assert await redis.put() is Put.WRITTEN
    assert await redis.claim() is Claim.TAKEN
    assert await redis.hold() is Hold.HELD
    assert await redis.store.read([KEY]) == [sealed(1)]


async def test_an_emptied_server_just_knows_nothing(server: RedisServer, redis: Redis) -> None:
    server.command("FLUSHALL")
    assert await redis.store.read([KEY]) == [None]
    assert await redis.claims.oldest() == {}
    assert await redis.leases.oldest() == {}
    assert await redis.put() is Put.WRITTEN


# Read-only and full


async def test_on_a_replica_reads_go_on_and_writes_are_refused(
    server: RedisServer, redis: Redis
) -> None:
    server.command("REPLICAOF", "127.0.0.1", 1)
    assert await redis.store.read([KEY]) == [sealed(1)]
    assert await _kinds(redis, READS) == _each(None, READS)
    assert await _kinds(redis, WRITES) == _each(StoreRefused, WRITES)


async def test_a_replica_that_will_not_serve_old_data_is_unreachable(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.command("REPLICAOF", "127.0.0.1", 1)
    assert await _kind(redis.store.read([KEY])) is StoreUnreachable


async def test_without_enough_replicas_reads_go_on_and_writes_are_refused(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "min-replicas-to-write", 1)
    assert await redis.store.read([KEY]) == [sealed(1)]
    assert await _kinds(redis, READS) == _each(None, READS)
    assert await _kinds(redis, WRITES) == _each(StoreRefused, WRITES)


async def test_on_a_full_server_reads_go_on_and_writes_are_refused(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "maxmemory", 1)
    assert await redis.store.read([KEY]) == [sealed(1)]
    assert await _kinds(redis, READS) == _each(None, READS)
    assert await _kinds(redis, WRITES) == _each(StoreRefused, WRITES)
    server.command("CONFIG", "SET", "maxmemory", 0)
    assert await redis.put(order=2) is Put.WRITTEN


async def test_a_refused_put_changes_nothing_and_announces_nothing(
    server: RedisServer, redis: Redis
) -> None:
    async with listening(redis.store) as ear:
        server.command("CONFIG", "SET", "maxmemory", 1)
        refused = redis.store.put(
            sealed(2), key=KEY, ends=_now() + MINUTE, scan=SCAN, chain="chain"
        )
        assert await _kind(refused) is StoreRefused
        server.command("CONFIG", "SET", "maxmemory", 0)
        assert await redis.store.read([KEY]) == [sealed(1)]
        assert await redis.leases.oldest() == {Lane.CHECK: 1}
        await redis.put(OTHER)
        await ear.until(None, OTHER)


# Password and rights


@pytest.mark.parametrize("user", ["webhook", "nobody"])
async def test_a_wrong_password_is_said_as_a_configuration_error(
    server: RedisServer, user: str
) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">right", "~*", "&*", "+@all")
    async with RedisLinks(url=server.url_of(user, "wr0ng-s3cret")) as links:
        redis = Redis(links)
        assert await _kinds(redis, CALLS) == _each(StoreMisconfigured, CALLS)
        with pytest.raises(StoreMisconfigured) as raised:
            await redis.store.ping()
    said = f"{raised.value!r} {raised.value.__cause__!r} {links.address!r} {links.address}"
    assert f"127.0.0.1:{server.port}" in said
    assert "wr0ng" not in said
    assert "check the user, password and ACL" in said


async def test_no_password_where_one_is_needed_is_said_as_a_configuration_error(
    server: RedisServer,
) -> None:
    server.command("CONFIG", "SET", "requirepass", "right")
    async with RedisLinks(url=server.url) as links:
        assert await _kinds(Redis(links), CALLS) == _each(StoreMisconfigured, CALLS)


async def test_a_missing_right_is_said_as_a_configuration_error(server: RedisServer) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">right", "~ig1:*", "+mget", "+ping")
    async with RedisLinks(url=server.url_of("webhook", "right")) as links:
        redis = Redis(links)
        assert await redis.store.read([KEY]) == [None]
        assert await _kinds(redis, WRITES) == _each(StoreMisconfigured, WRITES)


async def test_keys_that_our_user_may_not_touch_are_a_configuration_error(
    server: RedisServer,
) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">right", "~other:*", "&*", "+@all")
    async with RedisLinks(url=server.url_of("webhook", "right")) as links:
        calls = {"read": READS["read"]} | WRITES
        assert await _kinds(Redis(links), calls) == _each(StoreMisconfigured, calls)


async def test_the_listed_rights_are_enough_for_everything(server: RedisServer) -> None:
    rights = " ".join(LISTED_RIGHTS).split()
    server.command("ACL", "SETUSER", "webhook", "on", ">p@ss/w:rd", "~ig1:*", "&ig1:*", *rights)
    async with RedisLinks(url=server.url_of("webhook", "p%40ss%2Fw%3Ard")) as links:
        redis = Redis(links)
        assert await _kinds(redis, CALLS) == _each(None, CALLS)
        async with listening(redis.store) as ear:
            await redis.put(OTHER)
            await ear.until(None, OTHER)


# Connections


async def test_however_many_calls_there_are_at_once_six_connections_carry_them(
    server: RedisServer, redis: Redis
) -> None:
    async with listening(redis.store) as ear:
        reads = [redis.store.read([KEY, f"{KEY}{n}"]) for n in range(500)]
        claims = [redis.claims.claim(f"claim {n}", step(f"{n}"), life=MINUTE) for n in range(500)]
        await asyncio.gather(*reads, *claims)
        await ear.until(None)
        connections = server.command("CLIENT", "LIST").splitlines()
    administrator = 1
    assert len(connections) <= 1 + 4 + 1 + administrator


async def test_five_hundred_claims_of_one_key_at_once_are_all_answered(redis: Redis) -> None:
    answers = await asyncio.gather(*(redis.claim("one") for _ in range(500)))
    assert answers.count(Claim.TAKEN) == 1
    assert answers.count(Claim.HELD) == 499


async def test_a_loop_that_was_busy_does_not_take_the_server_for_hung(redis: Redis) -> None:
    calls = [asyncio.ensure_future(call(redis)) for call in (READS | WRITES).values()]
    for _ in range(3):
        await asyncio.sleep(0)
        _hold_the_loop(0.2)
    await asyncio.gather(*calls)


def _hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)


# Listening


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
            await asyncio.sleep(3.5)
            assert "announcements are interrupted" in caplog.messages
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
    async with RedisLinks(url=server.url) as links:
        redis = Redis(links)
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
        done, _ = await asyncio.wait({task}, timeout=1)
        assert task in done, f"after {turns} turns of the loop"


async def test_a_steady_listener_hears_everything_in_the_order_of_the_puts(redis: Redis) -> None:
    keys = [f"pointer:{n}" for n in range(300)]
    async with listening(redis.store) as ear:
        for key in keys:
            await redis.put(key)
        await ear.until(None, *keys)
