"""The broker of the modules that maltreat one: each has its own."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.letters import Looker
from tests.servers.rabbitmq import RabbitServer


@pytest.fixture(scope="module")
def maltreated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("maltreated") / "node")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def broker(maltreated: RabbitServer) -> Iterator[RabbitServer]:
    """Well again after each test."""
    try:
        yield maltreated
    finally:
        maltreated.mend()


@pytest.fixture
def prefix() -> str:
    """Of the queues of one test."""
    return f"fault-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def looker(broker: RabbitServer) -> AsyncIterator[Looker]:
    async with Looker(broker, f"letters-{uuid.uuid4().hex[:8]}").running() as made:
        yield made
