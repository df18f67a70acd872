"""A Redis user for each service: the lines of docs/design/redis-rights.md, as they stand there."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import redis as redis_py
from redis.exceptions import NoPermissionError, ResponseError

from shared.domain.errors import StoreMisconfigured
from shared.domain.step import Lane
from shared.ports.presence import MAX_PRESENT
from tests.contract.stores import MINUTE, beat, listening, sealed, step
from tests.integration.redis_process import (
    CALLS,
    KEY,
    SCAN,
    Calls,
    Redis,
    each,
    kind,
    kinds,
    patient,
    working,
)
from tests.servers.redis import RedisServer
from tests.servers.rights import PASSWORD, make_users, redis_rights

pytestmark = pytest.mark.servers

LOOKING: Calls = {
    name: CALLS[name]
    for name in (
        *("ping", "read", "keys", "oldest step", "oldest scan", "recent decisions", "alive"),
        "exceptions",
    )
}
CLAIMING: Calls = {
    "claim": lambda redis: redis.claims.claim("new", step("new"), life=MINUTE),
    "claim again": lambda redis: redis.claims.claim("new", step("new"), life=MINUTE),
    "drop": lambda redis: redis.claims.drop("new"),
}
FOR_A_TENANT: Calls = {
    "claim for a tenant": CALLS["claim for a tenant"],
}
SEEING_SCANS: Calls = {
    "claim past a scan": lambda redis: redis.claims.claim(
        "other", step("other"), life=MINUTE, scans=["scan:none", SCAN]
    ),
}
EXCEPTING: Calls = {
    "put exception": lambda redis: redis.except_("a", order=99),
    "put another": lambda redis: redis.except_("b"),
}
USING: Calls = {"record uses": CALLS["record uses"]}
NUDGING: Calls = {name: CALLS[name] for name in ("claim nudge", "drop nudge")}
CARING: Calls = {name: CALLS[name] for name in ("recent uses", "count uses", "lead", "leave")}
ANNOUNCING: Calls = {name: CALLS[name] for name in ("beat", "goodbye")}
WORKING: Calls = {
    name: CALLS[name]
    for name in (
        *("ping", "read", "put", "overdue", "begin", "hold", "renew", "holder"),
        *("place", "room", "free", "release", "take a turn"),
    )
} | {
    "place of another": lambda redis: redis.place("scan:another"),
    "put that ends a scan": lambda redis: redis.store.put(
        sealed(100), key=KEY, ends=4 * 10**12, scan=SCAN, chain="chain"
    ),
}

SERVICES: dict[str, Calls] = {
    "webhook": {name: CALLS[name] for name in ("ping", "read", "decisions", "exceptions")}
    | CLAIMING
    | SEEING_SCANS
    | FOR_A_TENANT
    | USING
    | NUDGING
    | ANNOUNCING,
    "worker": WORKING | CARING | USING | ANNOUNCING,
    "intake": {"ping": CALLS["ping"]} | CLAIMING | ANNOUNCING,
    "console": LOOKING | ANNOUNCING,
    "operator": LOOKING | CLAIMING | SEEING_SCANS | EXCEPTING,
}

EVERYTHING: Calls = CALLS | CLAIMING | SEEING_SCANS | FOR_A_TENANT | WORKING
FORBIDDEN: dict[str, Calls] = {
    "webhook": {
        name: EVERYTHING[name]
        for name in (
            *("put", "put that ends a scan", "keys", "hold", "overdue", "begin", "release"),
            *("renew", "place", "room", "take a turn"),
            *("put exception", "recent uses", "count uses", "lead", "leave"),
        )
    },
    "worker": {
        name: EVERYTHING[name]
        for name in (*("keys", "decisions", "recent decisions", "exceptions", "put exception"),)
    },
    "intake": {
        name: EVERYTHING[name]
        for name in (
            *("read", "put", "keys", "hold", "begin", "decisions", "recent decisions"),
            *("claim for a tenant", "free", "place", "holder", "take a turn"),
            *("exceptions", "put exception", "record uses", "recent uses", "lead", "leave"),
        )
    },
    "console": {
        name: EVERYTHING[name]
        for name in (
            *("put", "put that ends a scan", "claim", "claim past a scan", "drop", "begin"),
            *("overdue", "hold", "release", "decisions", "put exception", "record uses", "lead"),
            *("renew", "place", "holder", "free", "take a turn", "claim nudge", "drop nudge"),
        )
    },
    "operator": {
        name: EVERYTHING[name]
        for name in (
            *("put", "put that ends a scan", "hold", "release", "overdue", "beat"),
            *("record uses", "lead", "leave", "take a turn"),
            *("claim for a tenant", "free", "renew", "place", "holder"),
        )
    },
}
"""What would do harm: of each service what it has no business with."""

ANNOUNCE = ("PUBLISH", "ig1:changed", "anything")
"""What it costs is a look at the store: who puts something announces it."""

PLAIN_HARM = (
    ("SET", f"ig1:record:{KEY}", "forged"),
    ("DEL", f"ig1:record:{KEY}"),
    ("EXPIRE", f"ig1:record:{KEY}", 1),
    ("RENAME", f"ig1:record:{KEY}", "ig1:claim:x"),
    ("DEL", "ig1:decisions"),
    ("DEL", "ig1:exceptions:ends"),
    ("PEXPIRE", "ig1:decisions", 1),
    ("DEL", "ig1:steps"),
    ("DEL", "ig1:uses"),
    ("SET", "ig1:leader:care", "me"),
    ("ZRANGE", "ig1:uses", 0, -1),
    ANNOUNCE,
    ("GET", "of:somebody:else"),
    ("SET", "of:somebody:else", "x"),
    ("MGET", "of:somebody:else"),
    ("FLUSHALL",),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("EVAL", "return 1", 0),
    ("SCRIPT", "FLUSH"),
    ("SCRIPT", "KILL"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("KEYS", "*"),
    ("MONITOR",),
    ("SHUTDOWN", "NOSAVE"),
    ("REPLICAOF", "NO", "ONE"),
)


def thief_of(server: RedisServer, user: str) -> redis_py.Redis:
    """Whoever has a service's password and sends what they like."""
    return redis_py.Redis(port=server.port, username=user, password=PASSWORD, protocol=2)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "server") as started:
        make_users(started)
        yield started


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    shared_server.command("FLUSHALL")
    shared_server.command("SCRIPT", "FLUSH")
    return shared_server


@asynccontextmanager
async def as_user(server: RedisServer, user: str) -> AsyncIterator[Redis]:
    """One process of that service, where others have worked before."""
    async with working(server) as owner:
        await owner.presence.beat(beat("another"))
        server.command("HSET", "ig1:exceptions", "ended", "x")
        server.command("ZADD", "ig1:exceptions:ends", 1, "ended")
        async with patient(server.url_of(user, PASSWORD)) as redis:
            yield redis


def test_the_document_has_a_line_for_each_service_and_no_other() -> None:
    assert redis_rights().keys() == SERVICES.keys() == FORBIDDEN.keys()


@pytest.mark.parametrize("user", SERVICES)
async def test_each_service_may_do_what_it_does(server: RedisServer, user: str) -> None:
    async with as_user(server, user) as redis:
        assert await kinds(redis, SERVICES[user]) == each(None, SERVICES[user])


@pytest.mark.parametrize("user", SERVICES)
async def test_each_service_is_refused_what_it_has_no_business_with(
    server: RedisServer, user: str
) -> None:
    async with as_user(server, user) as redis:
        assert await kinds(redis, FORBIDDEN[user]) == each(StoreMisconfigured, FORBIDDEN[user])
        assert server.command("GET", f"ig1:record:{KEY}") == sealed(1).decode()


@pytest.mark.parametrize("user", [user for user in SERVICES if user != "worker"])
async def test_who_has_a_stolen_password_can_send_no_command_that_does_harm(
    server: RedisServer, user: str
) -> None:
    async with as_user(server, user):
        with thief_of(server, user) as thief:
            for words in PLAIN_HARM:
                if words is ANNOUNCE and "put exception" in SERVICES[user]:
                    continue
                with pytest.raises(NoPermissionError):
                    thief.execute_command(*words)
            script = thief.script_load("return redis.call('SET', ARGV[1], 'forged')")
            with pytest.raises(ResponseError, match=r"executing the script|ACL failure in script"):
                thief.evalsha(script, 0, f"ig1:record:{KEY}")
    assert server.command("GET", f"ig1:record:{KEY}") == sealed(1).decode()


async def test_a_webhook_hears_what_a_worker_announces(server: RedisServer) -> None:
    async with (
        as_user(server, "worker") as worker,
        as_user(server, "webhook") as webhook,
        listening(webhook.store) as ear,
    ):
        await worker.put("pointer:new")
        await ear.until(None, "pointer:new")


def test_a_webhook_may_listen_to_no_other_channel(server: RedisServer) -> None:
    with thief_of(server, "webhook") as thief, thief.pubsub() as pubsub:
        pubsub.subscribe("of:somebody:else")
        with pytest.raises(NoPermissionError):
            pubsub.get_message(timeout=5)


@pytest.mark.parametrize("user", ["webhook", "worker", "intake", "console"])
async def test_where_too_many_are_present_each_may_make_room_for_its_own_beat(
    server: RedisServer, user: str
) -> None:
    async with as_user(server, user) as redis:
        await _crowd(server)
        await redis.presence.beat(beat(user))
    assert server.command("ZCARD", "ig1:beats:when") == MAX_PRESENT


async def test_ages_are_told_to_who_only_looks_also_past_scans_that_have_ended(
    server: RedisServer,
) -> None:
    async with as_user(server, "console") as redis:
        server.command("ZADD", "ig1:leases:seen:check", 0, "ended")
        server.command("ZADD", "ig1:leases:when", 1, "ended")
        assert (await redis.leases.oldest())[Lane.CHECK] == 1


def test_the_lines_can_stand_in_a_file_of_users(tmp_path: Path) -> None:
    users = tmp_path / "users.acl"
    text = "".join(f"user {user} {rules}\n" for user, rules in redis_rights().items())
    users.write_text(f"user default on nopass ~* &* +@all\n{text}")
    with RedisServer(tmp_path / "redis", arguments=("--aclfile", str(users))) as server:
        for user, rules in redis_rights().items():
            told = server.command("ACL", "GETUSER", user)
            server.command("ACL", "SETUSER", "typed", *rules.split())
            assert told == server.command("ACL", "GETUSER", "typed")


@pytest.mark.parametrize("user", SERVICES)
async def test_no_right_is_given_that_its_service_can_do_without(
    server: RedisServer, user: str
) -> None:
    words = redis_rights()[user].split()
    needless = []
    for place, word in enumerate(words):
        if word.strip("()")[0] in "+~%&" and not word.startswith(">"):
            less = words[:place] + _without(word) + words[place + 1 :]
            server.command("FLUSHALL")
            server.command("ACL", "SETUSER", "less", *less)
            async with as_user(server, "less") as redis:
                if not await _is_refused_something(server, user, redis):
                    needless.append(f"{word} ({place})")
    server.command("ACL", "DELUSER", "less")
    assert needless == []


def _without(word: str) -> list[str]:
    """A group's brackets stay where its first or last right goes."""
    return [bracket for bracket in ("(", ")") if bracket in word]


async def _is_refused_something(server: RedisServer, user: str, redis: Redis) -> bool:
    server.command("SCRIPT", "FLUSH")
    if StoreMisconfigured in (await kinds(redis, SERVICES[user])).values():
        return True
    if "beat" in SERVICES[user]:
        await _crowd(server)
        if await kind(redis.presence.beat(beat(user)), within=redis.deadline) is StoreMisconfigured:
            return True
    return user == "webhook" and not await _hears(redis)


async def _hears(redis: Redis) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3), listening(redis.store):
            return True
    return False


async def _crowd(server: RedisServer) -> None:
    """Someone gone, someone heard in the future, and too many."""
    server.command("ZADD", "ig1:beats:when", 1, "gone", 9_999_999_999_999, "future")
    flood = "for n = 1, 1100 do redis.call('ZADD', KEYS[1], ARGV[1], n) end"
    server.command("EVAL", flood, 1, "ig1:beats:when", time.time_ns() // 1_000_000)
