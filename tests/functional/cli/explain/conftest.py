from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.signatures import load_ring, new_keys
from shared.domain.signing import Role
from tests.functional.cli.beside import beside
from tests.functional.cli.explain.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    new_keys(tmp_path / "keys")
    new_keys(tmp_path / "keys", role=Role.OPERATOR)
    async with beside(tmp_path, unsealer=load_ring(tmp_path / "keys")) as served:
        yield Rig(served, tmp_path)
