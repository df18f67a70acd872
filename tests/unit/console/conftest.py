import pytest

from tests.unit.console.world import World


@pytest.fixture
def world() -> World:
    return World()
