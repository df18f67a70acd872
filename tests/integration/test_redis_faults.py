"""Redis down, hung, read-only, full, refusing us, restarted, emptied: said as what it is, in time.

docs/design/behaviour.md 6 and docs/design/broker-facts.md 8.12. A second is the contract's
deadline for every call, whatever the server does.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.turns import WORK_LIMIT
from shared.domain.errors import StoreMisconfigured, StoreRefused, StoreUnreachable
from shared.domain.step import Lane
from shared.ports.claims import Claim, Hold
from shared.ports.verdicts import Put
from tests.contract.stores import MINUTE, listening, sealed, step
from tests.integration.redis_process import (
    CALLS,
    KEY,
    OTHER,
    READS,
    SCAN,
    WRITES,
    Redis,
    cutting_proxy,
    each,
    in_time,
    kind,
    kinds,
    now,
    patient,
    working,
    working_for_reviews,
)
from tests.servers.redis import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.servers

LISTED_RIGHTS = (
    "+mget +evalsha +script|load +ping +scan +subscribe",
    "+get +set +del +getrange +publish +pexpire +pttl +time",
    "+hget +hmget +hset +hdel +hexists +hlen",
    "+zadd +zrem +zcard +zcount +zscore +zrange +zrangebyscore",
    "+zremrangebyscore +zremrangebyrank +xadd +xrevrange",
)
"""As in shared/adapters/redis_store/scripts/__init__.py."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as started:
        yield started


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with working(server) as opened:
        yield opened


@pytest.fixture
async def hurried(server: RedisServer) -> AsyncIterator[Redis]:
    """For what becomes of calls without an answer."""
    async with working_for_reviews(server) as opened:
        yield opened


# Down and hung


async def test_a_server_that_is_down_is_unreachable_for_every_call(
    server: RedisServer, redis: Redis
) -> None:
    server.kill()
    assert await kinds(redis, CALLS) == each(StoreUnreachable, CALLS)


async def test_links_are_made_without_a_server_and_find_it_when_it_is_there(
    server: RedisServer,
) -> None:
    server.kill()
    async with patient(server.url) as redis:
        assert await kinds(redis, CALLS) == each(StoreUnreachable, CALLS)
        server.start_again()
        assert await kinds(redis, CALLS) == each(None, CALLS)


async def test_a_hung_server_is_unreachable_for_every_call(
    server: RedisServer, hurried: Redis
) -> None:
    with server.paused():
        assert await kinds(hurried, CALLS) == each(StoreUnreachable, CALLS)


async def test_a_server_that_is_busy_for_a_moment_answers_whoever_does_not_answer_a_review(
    server: RedisServer, hurried: Redis, redis: Redis
) -> None:
    for call in ("read", "hold"):
        with server.paused():
            work = asyncio.create_task(kind(CALLS[call](redis), within=redis.deadline))
            assert await kind(CALLS[call](hurried)) is StoreUnreachable
            assert not work.done()
        assert await work is None


SILENT = "no answer within 1 s|Timeout reading"
"""By our own bound, or by the socket's where the loop had no time for it."""


async def test_work_is_told_of_a_hung_server_within_its_own_bound(server: RedisServer) -> None:
    async with RedisLinks(url=server.url, limit=WORK_LIMIT) as links:
        working = Redis(links)
        with suppress(StoreUnreachable):  # connected, where the machine has time for it
            await working.claim()
        with server.paused():
            with pytest.raises(StoreUnreachable, match=SILENT):
                await working.claim()
            with pytest.raises(StoreUnreachable, match=SILENT):
                await working.store.read([KEY])


async def test_a_hung_server_that_was_never_connected_is_unreachable(server: RedisServer) -> None:
    with server.paused():
        async with RedisLinks(url=server.url) as links:
            assert await kinds(Redis(links), CALLS) == each(StoreUnreachable, CALLS)


async def test_of_a_thousand_calls_to_a_hung_server_each_is_told_in_time(
    server: RedisServer, hurried: Redis
) -> None:
    with server.paused():
        reads = [kind(hurried.store.read([f"{KEY}{n}"])) for n in range(500)]
        claims = [kind(hurried.claim(f"claim {n}")) for n in range(500)]
        kinds = await asyncio.gather(*reads, *claims)
    assert set(kinds) == {StoreUnreachable}


async def test_a_read_of_many_keys_from_a_hung_server_ends_in_time(
    server: RedisServer, hurried: Redis
) -> None:
    with server.paused():
        answer = await kind(hurried.store.read([f"{KEY}{n}" for n in range(5_000)]))
    assert answer is StoreUnreachable


async def test_after_a_hang_everything_works_again(server: RedisServer, hurried: Redis) -> None:
    with server.paused():
        await kinds(hurried, CALLS)

    async def works() -> bool:
        return await kinds(hurried, CALLS) == each(None, CALLS)

    await eventually(works)


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
    answers = await in_time(asyncio.gather(*(redis.claim(f"again {n}") for n in range(50))))
    assert set(answers) == {Claim.TAKEN}


async def test_links_to_a_hung_server_can_be_closed(server: RedisServer, hurried: Redis) -> None:
    with server.paused():
        reads = [asyncio.ensure_future(hurried.store.read([KEY])) for _ in range(5)]
        claims = [asyncio.ensure_future(hurried.claim()) for _ in range(5)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await hurried.links.aclose()
        ended = await in_time(asyncio.gather(*reads, *claims, return_exceptions=True))
    assert {type(end) for end in ended} == {StoreUnreachable}


async def test_a_script_that_holds_the_server_makes_it_unreachable(
    server: RedisServer, hurried: Redis
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
        assert await kinds(hurried, busy) == each(StoreUnreachable, busy)
    finally:
        server.command("SCRIPT", "KILL")
        await asyncio.to_thread(holding.join)


# Restarted and emptied


async def test_a_connection_that_the_server_closed_is_healed_without_a_word(
    server: RedisServer, redis: Redis
) -> None:
    for _ in range(3):
        server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await kinds(redis, CALLS) == each(None, CALLS)


async def test_a_restarted_server_with_a_file_has_everything_again(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", persistent=True) as server:
        async with patient(server.url) as redis:
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
    assert await kinds(redis, READS) == each(None, READS)
    assert await kinds(redis, WRITES) == each(StoreRefused, WRITES)


async def test_a_replica_that_will_not_serve_old_data_is_unreachable(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.command("REPLICAOF", "127.0.0.1", 1)
    assert await kind(redis.store.read([KEY])) is StoreUnreachable


async def test_without_enough_replicas_reads_go_on_and_writes_are_refused(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "min-replicas-to-write", 1)
    assert await redis.store.read([KEY]) == [sealed(1)]
    assert await kinds(redis, READS) == each(None, READS)
    assert await kinds(redis, WRITES) == each(StoreRefused, WRITES)


async def test_on_a_full_server_reads_go_on_and_writes_are_refused(
    server: RedisServer, redis: Redis
) -> None:
    server.command("CONFIG", "SET", "maxmemory", 1)
    assert await redis.store.read([KEY]) == [sealed(1)]
    assert await kinds(redis, READS) == each(None, READS)
    assert await kinds(redis, WRITES) == each(StoreRefused, WRITES)
    server.command("CONFIG", "SET", "maxmemory", 0)
    assert await redis.put(order=2) is Put.WRITTEN


async def test_a_refused_put_changes_nothing_and_announces_nothing(
    server: RedisServer, redis: Redis
) -> None:
    async with listening(redis.store) as ear:
        server.command("CONFIG", "SET", "maxmemory", 1)
        refused = redis.store.put(sealed(2), key=KEY, ends=now() + MINUTE, scan=SCAN, chain="chain")
        assert await kind(refused) is StoreRefused
        server.command("CONFIG", "SET", "maxmemory", 0)
        assert await redis.store.read([KEY]) == [sealed(1)]
        assert (await redis.leases.oldest())[Lane.CHECK] == 1
        await redis.put(OTHER)
        await ear.until(None, OTHER)


# Password and rights


@pytest.mark.parametrize("user", ["webhook", "nobody"])
async def test_a_wrong_password_is_said_as_a_configuration_error(
    server: RedisServer, user: str
) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">right", "~*", "&*", "+@all")
    async with patient(server.url_of(user, "wr0ng-s3cret")) as redis:
        address = redis.links.address
        assert await kinds(redis, CALLS) == each(StoreMisconfigured, CALLS)
        with pytest.raises(StoreMisconfigured) as raised:
            await redis.store.ping()
    said = f"{raised.value!r} {raised.value.__cause__!r} {address!r} {address}"
    assert f"127.0.0.1:{server.port}" in said
    assert "wr0ng" not in said
    assert "check the user, password and ACL" in said


async def test_no_password_where_one_is_needed_is_said_as_a_configuration_error(
    server: RedisServer,
) -> None:
    server.command("CONFIG", "SET", "requirepass", "right")
    async with patient(server.url) as redis:
        assert await kinds(redis, CALLS) == each(StoreMisconfigured, CALLS)


async def test_a_missing_right_is_said_as_a_configuration_error(server: RedisServer) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">right", "~ig1:*", "+mget", "+ping")
    async with patient(server.url_of("webhook", "right")) as redis:
        assert await redis.store.read([KEY]) == [None]
        assert await kinds(redis, WRITES) == each(StoreMisconfigured, WRITES)


async def test_keys_that_our_user_may_not_touch_are_a_configuration_error(
    server: RedisServer,
) -> None:
    server.command("ACL", "SETUSER", "webhook", "on", ">right", "~other:*", "&*", "+@all")
    async with patient(server.url_of("webhook", "right")) as redis:
        calls = {"read": READS["read"]} | WRITES
        assert await kinds(redis, calls) == each(StoreMisconfigured, calls)


async def test_the_listed_rights_are_enough_for_everything(server: RedisServer) -> None:
    rights = " ".join(LISTED_RIGHTS).split()
    server.command("ACL", "SETUSER", "webhook", "on", ">p@ss/w:rd", "~ig1:*", "&ig1:*", *rights)
    async with patient(server.url_of("webhook", "p%40ss%2Fw%3Ard")) as redis:
        assert await kinds(redis, CALLS) == each(None, CALLS)
        async with listening(redis.store) as ear:
            await redis.put(OTHER)
            await ear.until(None, OTHER)


# Connections


async def test_however_many_calls_there_are_at_once_six_connections_carry_them(
    server: RedisServer, redis: Redis
) -> None:
    async with listening(redis.store):
        reads = [redis.store.read([KEY, f"{KEY}{n}"]) for n in range(500)]
        claims = [redis.claims.claim(f"claim {n}", step(f"{n}"), life=MINUTE) for n in range(500)]
        await asyncio.gather(*reads, *claims)
        connections = server.command("CLIENT", "LIST").splitlines()
    administrator = 1
    assert len(connections) <= 1 + 4 + 1 + administrator


async def test_five_hundred_claims_of_one_key_at_once_are_all_answered(redis: Redis) -> None:
    answers = await asyncio.gather(*(redis.claim("one") for _ in range(500)))
    assert answers.count(Claim.TAKEN) == 1
    assert answers.count(Claim.HELD) == 499


async def test_a_loop_that_was_busy_does_not_take_the_server_for_hung(
    server: RedisServer,
) -> None:
    # A third of it, and more, three times; a socket that says nothing is closed after twice.
    async with working_for_reviews(server, limit=3.0) as redis:
        calls = [asyncio.ensure_future(call(redis)) for call in (READS | WRITES).values()]
        for _ in range(3):
            await asyncio.sleep(0)
            _hold_the_loop(1.1)
        await asyncio.gather(*calls)


def _hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_claim_whose_answer_was_lost_on_the_way_is_still_ours(
    server: RedisServer,
) -> None:
    async with (
        cutting_proxy(server.port) as (port, cut),
        patient(f"redis://127.0.0.1:{port}") as redis,
    ):
        await redis.claim("first")
        cut.set()
        assert await redis.claim("second") is Claim.TAKEN
        assert not cut.is_set()
        assert await redis.claim("second") is Claim.HELD


# What others wrote


async def test_a_value_that_is_no_record_of_ours_never_stands_in_the_way(
    server: RedisServer, redis: Redis
) -> None:
    for value in ("", "zzz", "~" * 30, "12345"):
        server.command("SET", f"ig1:record:{OTHER}", value)
        assert await redis.put(OTHER) is Put.WRITTEN


async def test_a_remembered_step_that_cannot_be_read_is_forgotten_and_the_others_named(
    server: RedisServer, redis: Redis
) -> None:
    await redis.claim("unreadable")
    server.command("HSET", "ig1:steps", "unreadable", '{"v": 99}')
    assert await redis.claims.overdue(age=0, limit=5) == [step("a")]
    assert server.command("HEXISTS", "ig1:steps", "unreadable") == 0
