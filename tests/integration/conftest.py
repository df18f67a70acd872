"""The broker of the modules that maltreat one: each has its own."""

from collections.abc import Iterator

import pytest

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
