"""The servers of the contract suites, one for the whole run."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.stores import World, memory_world, redis_world
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "server") as server:
        yield server


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Everything that the store has for us, of each adapter."""
    if request.param == "memory":
        yield memory_world()
        return
    async with redis_world(request.getfixturevalue("redis_server")) as opened:
        yield opened
