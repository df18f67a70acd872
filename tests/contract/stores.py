"""What the suites of everything in the store run against: one world for each adapter."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.leadership import MemoryLeadership
from shared.adapters.memory.nudge_claims import MemoryNudgeClaims
from shared.adapters.memory.polls import MemoryPolls
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.memory.usage import MemoryUsage
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.leadership import RedisLeadership
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.nudge_claims import RedisNudgeClaims
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.usage import RedisUsage
from shared.domain.signing import assemble
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.decisions import DecisionLog, DecisionRecord
from shared.ports.exceptions import ExceptionStore
from shared.ports.leadership import Leadership
from shared.ports.nudging import NudgeClaims
from shared.ports.polls import Polls
from shared.ports.presence import Beat, Presence
from shared.ports.usage import Usage
from shared.ports.verdicts import VerdictStore
from tests.fakes.clock import FakeClock
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE

REMEMBERED = 20
"""How many steps the claims of a world remember."""
DECISIONS = 200
"""How many decisions are kept, about."""
EXCEPTED = 150
"""How many exceptions are kept: more than one page of a read."""
PRESENT = 10
"""How many processes are remembered."""
USES = 250
"""How many uses are remembered: more than one script records."""
GONE_AFTER = 4_000
"""Milliseconds of silence after which one is gone."""
MINUTE = 60_000
A_WHILE = 2_000
"""Milliseconds: the life of what must still be there a moment later, on a busy machine too, and
whose end a test waits for."""


@dataclass(kw_only=True)
class World:
    """The ports over the same server, and their time."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
    decisions: DecisionLog
    exceptions: ExceptionStore
    presence: Presence
    usage: Usage
    leadership: Leadership
    nudges: NudgeClaims
    polls: tuple[Polls, Polls]
    """Those of two workers."""
    now: Callable[[], int]
    """The server's clock, in milliseconds."""
    clock: FakeClock | None = None

    async def passes(self, milliseconds: int) -> None:
        """Let time pass: at once where the clock is a test's, else really."""
        if self.clock is not None:
            self.clock.advance(milliseconds)
        else:
            await asyncio.sleep((milliseconds + 5) / 1000)


def memory_world() -> World:
    clock = FakeClock()
    leases = MemoryScanLeases(clock=clock)
    store = MemoryVerdictStore(clock=clock, leases=leases)
    polls = MemoryPolls(clock=clock, under_way=leases.under_way)
    return World(
        store=store,
        claims=MemoryRequestClaims(clock=clock, leases=leases, max_remembered=REMEMBERED),
        leases=leases,
        decisions=MemoryDecisionLog(clock=clock, max_decisions=DECISIONS),
        exceptions=MemoryExceptionStore(
            clock=clock, announce=store.announce, max_exceptions=EXCEPTED
        ),
        presence=MemoryPresence(clock=clock, gone_after=GONE_AFTER, max_present=PRESENT),
        polls=(polls, polls),
        usage=MemoryUsage(clock=clock, max_uses=USES),
        leadership=MemoryLeadership(clock=clock),
        nudges=MemoryNudgeClaims(clock=clock),
        now=clock.now,
        clock=clock,
    )


@asynccontextmanager
async def redis_world(server: RedisServer) -> AsyncIterator[World]:
    """A world of its own prefix: others use the same server. Nothing here is about calls that take
    too long, so they have time."""
    prefix = f"{uuid.uuid4().hex}:"
    async with (
        RedisLinks(url=server.url, prefix=prefix, limit=PATIENCE) as links,
        RedisLinks(url=server.url, prefix=prefix, limit=PATIENCE) as others,
    ):
        yield World(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links, max_remembered=REMEMBERED),
            leases=RedisScanLeases(links=links),
            decisions=RedisDecisionLog(links=links, max_decisions=DECISIONS),
            exceptions=RedisExceptionStore(links=links, max_exceptions=EXCEPTED),
            presence=RedisPresence(links=links, gone_after=GONE_AFTER, max_present=PRESENT),
            polls=(RedisPolls(links=links), RedisPolls(links=others)),
            usage=RedisUsage(links=links, max_uses=USES),
            leadership=RedisLeadership(links=links),
            nudges=RedisNudgeClaims(links=links),
            now=lambda: time.time_ns() // 1_000_000,
        )


@dataclass(kw_only=True)
class Ear:
    """A listener that writes down what it hears, gaps as None."""

    heard: list[str | None] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self, key: str) -> None:
        self.heard.append(key)
        self.news.set()

    def gap(self) -> None:
        self.heard.append(None)
        self.news.set()

    async def until(self, *heard: str | None, within: float = PATIENCE) -> None:
        """Wait until exactly this was heard."""
        async with asyncio.timeout(within):
            while self.heard != list(heard):
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def listening(store: VerdictStore) -> AsyncIterator[Ear]:
    """An ear at the store that has had its first gap."""
    ear = Ear()
    task = asyncio.create_task(store.listen(ear))
    try:
        await ear.until(None)
        yield ear
    finally:
        task.cancel()
        await asyncio.wait({task})


def sealed(order: int, text: str = "a record") -> bytes:
    """A sealed record as a store sees it: order in front, the rest is none of its business."""
    return assemble(order=order, key_id="k1", signature=b"s", body=text.encode())


def step(name: str, *, lane: Lane = Lane.ADMISSION, first_seen: int = 1) -> Step:
    return Step(
        id=name,
        kind=StepKind.REQUEST,
        lane=lane,
        reference=f"registry.test/team/{name}:1",
        question=Question(account="team"),
        first_seen=first_seen,
        claim=f"claim:{name}",
        v=1,
    )


def decision(name: str, **changes: Any) -> DecisionRecord:
    """An allowed pod of that name, but for `changes`."""
    plain = DecisionRecord(
        at=1,
        allowed=True,
        state="pass",
        code=200,
        kind="Pod",
        namespace="team",
        name=name,
        user="alice",
        operation="CREATE",
        images=("registry.test/team/app:1",),
    )
    return msgspec.structs.replace(plain, **changes)


def beat(name: str, *, service: str = "worker", **changes: Any) -> Beat:
    """A process of that name that is well, but for `changes`."""
    plain = Beat(name=name, service=service, version="1.0", started=1)
    return msgspec.structs.replace(plain, **changes)
