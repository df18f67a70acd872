"""A site on each adapter of the store."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.signatures import ensure_all_keys
from tests.contract.stores import redis_world
from tests.fakes.clock import FakeClock
from tests.functional.timeline.site import Site, now
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_all_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
async def site(request: pytest.FixtureRequest, keys: Path) -> AsyncIterator[Site]:
    """Its clock begins with the store's own."""
    clock = FakeClock(now=now())
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            opened = memory_site(clock, keys)
        else:
            server = request.getfixturevalue("redis_server")
            world = await stack.enter_async_context(redis_world(server))
            opened = Site(store=world.store, claims=world.claims, clock=clock, keys=keys)
        stack.push_async_callback(opened.close)
        yield opened


def memory_site(clock: FakeClock, keys: Path) -> Site:
    leases = MemoryScanLeases(clock=clock)
    return Site(
        store=MemoryVerdictStore(clock=clock, leases=leases),
        claims=MemoryRequestClaims(clock=clock, leases=leases),
        clock=clock,
        keys=keys,
    )
