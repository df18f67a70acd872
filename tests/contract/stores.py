"""What the suites of store, claims and leases run against: one world for each adapter."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.signing import assemble
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.verdicts import VerdictStore
from tests.fakes.clock import FakeClock
from tests.servers.redis import RedisServer

REMEMBERED = 20
"""How many steps the claims of a world remember."""
MINUTE = 60_000


@dataclass(kw_only=True)
class World:
    """The three ports over the same server, and their time."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
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
    return World(
        store=MemoryVerdictStore(clock=clock, leases=leases),
        claims=MemoryRequestClaims(clock=clock, leases=leases, max_remembered=REMEMBERED),
        leases=leases,
        now=clock.now,
        clock=clock,
    )


@asynccontextmanager
async def redis_world(server: RedisServer) -> AsyncIterator[World]:
    """A world of its own prefix: others use the same server."""
    async with RedisLinks(url=server.url, prefix=f"{uuid.uuid4().hex}:") as links:
        yield World(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links, max_remembered=REMEMBERED),
            leases=RedisScanLeases(links=links),
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

    async def until(self, *heard: str | None, within: float = 5) -> None:
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
