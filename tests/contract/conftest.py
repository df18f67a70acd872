"""The servers of the contract suites, one for the whole run."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.queues import Make, Subject, maker
from tests.contract.stores import World, memory_world, redis_world
from tests.contract.users import world_of_users
from tests.fakes.certificates import server_certificate
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.servers.rights import make_users


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "server") as server:
        yield server


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RedisServer, Path]]:
    """One that speaks TLS and knows the users of the services, and the CA that vouches for it."""
    folder = tmp_path_factory.mktemp("guarded")
    ca_file, files = server_certificate(folder)
    with RedisServer(folder / "server", tls=(files.certificate, files.key)) as server:
        make_users(server)
        yield server, ca_file


@pytest.fixture(
    params=[
        "memory",
        pytest.param("redis", marks=pytest.mark.servers),
        pytest.param("redis with TLS and users", marks=pytest.mark.servers),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Everything that the store has for us, of each adapter."""
    if request.param == "memory":
        yield memory_world()
    elif request.param == "redis":
        async with redis_world(request.getfixturevalue("redis_server")) as opened:
            yield opened
    else:
        async with world_of_users(*request.getfixturevalue("guarded_server")) as opened:
            yield opened


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("broker") / "node")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.servers)])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a queue of each adapter."""
    return maker("" if request.param == "memory" else request.getfixturevalue("broker").url)


@pytest.fixture
async def subject(make: Make) -> AsyncIterator[Subject]:
    """A queue of each adapter."""
    async with make() as made:
        yield made
