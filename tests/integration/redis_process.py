"""One process' use of Redis, and what became of its calls."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import msgspec
import pytest

from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.leadership import RedisLeadership
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.nudge_claims import RedisNudgeClaims
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import REVIEW_LIMIT, Turns
from shared.adapters.redis_store.usage import RedisUsage
from shared.domain.errors import StoreError, StoreUnreachable
from shared.domain.step import Lane
from shared.domain.verdict import Question
from shared.ports.claims import Claim, Hold
from shared.ports.usage import Use
from shared.ports.verdicts import Put
from tests.contract.stores import MINUTE, beat, decision, sealed, step
from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer
from tests.waiting import eventually

KEY = "pointer:registry.test/app:1"
OTHER = "pointer:registry.test/other:1"
SCAN = "scan:registry.test/app@sha256:1"
PUSHED = "scan:registry.test/pushed@sha256:1"
WANTED = msgspec.structs.replace(step("wanted"), tenant="team")
"""By a tenant."""

DEADLINE = 5.0
"""Seconds in which any call must be over; by the contract a tenth of one, where the machine has
time for it."""
PATIENT = 10.0
"""Seconds for a call where the question is what Redis answers: a machine that stands still for a
moment is no answer."""

Answer = TypeVar("Answer")


class Redis:
    """One process' links and what is built on them."""

    def __init__(self, links: RedisLinks, *, deadline: float = DEADLINE) -> None:
        """`deadline`: seconds in which each of its calls must be over."""
        self.links = links
        self.deadline = deadline
        self.store = RedisVerdictStore(links=links)
        self.claims = RedisRequestClaims(links=links)
        self.leases = RedisScanLeases(links=links)
        self.decisions = RedisDecisionLog(links=links)
        self.polls = RedisPolls(links=links)
        self.presence = RedisPresence(links=links)
        self.exceptions = RedisExceptionStore(links=links)
        self.usage = RedisUsage(links=links)
        self.leadership = RedisLeadership(links=links)
        self.nudges = RedisNudgeClaims(links=links)

    async def put(self, key: str = KEY, *, order: int = 1) -> Put:
        return await self.store.put(sealed(order), key=key, ends=now() + MINUTE)

    async def except_(self, name: str = "a", *, order: int = 1) -> Put:
        return await self.exceptions.put(sealed(order), exception_id=name, ends=now() + MINUTE)

    async def use(self) -> None:
        await self.usage.record({Use("registry.test/app:1", Question()): now()})

    async def hold(self) -> Hold:
        held = await self.leases.hold(
            SCAN,
            chain="chain",
            hop=0,
            life=MINUTE,
            lane=Lane.CHECK,
            first_seen=1,
            tenant="team",
        )
        return held.outcome

    async def claim(self, key: str = "claim") -> Claim:
        return await self.claims.claim(key, step("a"), life=MINUTE)

    async def place(self, key: str = PUSHED) -> bool:
        await self.leases.hold(
            key, chain="chain", hop=0, life=MINUTE, lane=Lane.CHECK_PREWARM, first_seen=1
        )
        return await self.leases.place(key, chain="chain", most=5)


Calls = dict[str, Callable[[Redis], Awaitable[object]]]

READS: Calls = {
    "read": lambda redis: redis.store.read([KEY]),
    "keys": lambda redis: redis.store.keys("", limit=5),
    "ping": lambda redis: redis.store.ping(),
    "recent decisions": lambda redis: redis.decisions.recent(limit=5),
    "alive": lambda redis: redis.presence.alive(),
    "exceptions": lambda redis: redis.exceptions.all(),
    "recent uses": lambda redis: redis.usage.recent(limit=5),
    "count uses": lambda redis: redis.usage.count(),
}
WRITES: Calls = {
    "put": lambda redis: redis.put(order=99),
    "hold": lambda redis: redis.hold(),
    "claim": lambda redis: redis.claim("another"),
    "claim for a tenant": lambda redis: redis.claims.claim("wanted", WANTED, life=MINUTE),
    "overdue": lambda redis: redis.claims.overdue(age=0, limit=5),
    "decisions": lambda redis: redis.decisions.write([decision("a"), decision("b")]),
    "beat": lambda redis: redis.presence.beat(beat("a")),
    "put exception": lambda redis: redis.except_(order=99),
    "take a turn": lambda redis: redis.polls.take(rate=20),
    "record uses": lambda redis: redis.use(),
    "lead": lambda redis: redis.leadership.lead("care", "a", life=MINUTE),
    "claim nudge": lambda redis: redis.nudges.claim("a-uid", life=MINUTE),
}
OTHERS: Calls = {
    "renew": lambda redis: redis.leases.renew(SCAN, chain="chain", life=MINUTE),
    "place": lambda redis: redis.place(),
    "room": lambda redis: redis.leases.room(most=1),
    "holder": lambda redis: redis.leases.holder(SCAN),
    "free": lambda redis: redis.claims.free(WANTED),
    "release": lambda redis: redis.leases.release(SCAN, chain="chain"),
    "drop": lambda redis: redis.claims.drop("claim"),
    "begin": lambda redis: redis.claims.begin("claim"),
    "keep": lambda redis: redis.claims.keep("claim", owner="push", life=MINUTE),
    "oldest step": lambda redis: redis.claims.oldest(),
    "oldest scan": lambda redis: redis.leases.oldest(),
    "goodbye": lambda redis: redis.presence.goodbye("nobody"),
    "leave": lambda redis: redis.leadership.leave("care", "a"),
    "drop nudge": lambda redis: redis.nudges.drop("a-uid"),
}
CALLS = READS | WRITES | OTHERS


def now() -> int:
    return time.time_ns() // 1_000_000


async def in_time(call: Awaitable[Answer], *, within: float = DEADLINE) -> Answer:
    """Within the deadline for every call, in seconds."""
    async with asyncio.timeout(within):
        return await call


async def kind(call: Awaitable[object], *, within: float = DEADLINE) -> type[StoreError] | None:
    """What a call raised, within the deadline."""
    try:
        await in_time(call, within=within)
    except StoreError as error:
        return type(error)
    return None


async def kinds(redis: Redis, calls: Calls) -> dict[str, type[StoreError] | None]:
    return {name: await kind(call(redis), within=redis.deadline) for name, call in calls.items()}


def each(kind: type[StoreError] | None, calls: Calls) -> dict[str, type[StoreError] | None]:
    return dict.fromkeys(calls, kind)


@asynccontextmanager
async def patient(url: str) -> AsyncIterator[Redis]:
    """Links to `url` that have done nothing yet, and whose calls have all the time they need, and
    for their turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.adapters.redis_store.links.Turns", partial(Turns, patience=PATIENT))
        made = RedisLinks(url=url, limit=PATIENT)
    async with made as links:
        yield Redis(links, deadline=3 * PATIENT)


@asynccontextmanager
async def working(server: RedisServer) -> AsyncIterator[Redis]:
    """Patient links that have worked: record, claim, step and scan are there, and every script."""
    async with patient(server.url) as redis:
        await _work(redis)
        yield redis


@asynccontextmanager
async def working_for_reviews(
    server: RedisServer, *, limit: float = REVIEW_LIMIT
) -> AsyncIterator[Redis]:
    """Links that have worked, and whose calls take no longer than a review's may, or `limit`.

    For what becomes of a call that gets no answer; whoever wants one asks the patient.
    """
    async with RedisLinks(url=server.url, limit=limit) as links:
        redis = Redis(links)
        await eventually(lambda: _worked(redis))
        yield redis


async def _worked(redis: Redis) -> bool:
    try:
        await _work(redis)
    except StoreUnreachable:
        return False
    return True


async def _work(redis: Redis) -> None:
    await redis.put()
    await redis.except_()
    await redis.claim()
    await kinds(redis, OTHERS | {"overdue": WRITES["overdue"]})
    await redis.hold()
    await redis.claim()


@asynccontextmanager
async def cutting_proxy(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A way to `port` that loses an answer: (its port, the event to set).

    After the event is set the next command goes through, its answer does not, and the
    connection is closed.
    """
    cut = asyncio.Event()
    carrying: set[asyncio.Task[None]] = set()

    async def carry(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, commands = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            while command := await client.read(65_536):
                commands.write(command)
                answer = await answers.read(65_536)
                if cut.is_set():
                    cut.clear()
                    break
                back.write(answer)
        for writer in (commands, back):
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def begin(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(client, back))
        carrying.add(task)

    own = free_ports("proxy")["proxy"]
    async with await asyncio.start_server(begin, "127.0.0.1", own):
        yield own, cut
    await asyncio.gather(*carrying)
