"""A rig for each test that asks for one."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.worker.rig import Rig, rigged


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as rig:
        yield rig
