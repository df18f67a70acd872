"""A file server, and a client that does not wait for long."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from shared.adapters.downloads.client import HttpDownloads
from shared.adapters.downloads.limits import Limits
from shared.ports.downloads import Download
from shared.runtime.clock import SystemClock
from tests.fakes.files import FakeFiles, file_server
from tests.fakes.names import FakeNames

BODY = random.Random(1).randbytes(3_000_000)
LIMITS = Limits(connect=20.0, stall=20.0, backoff=0.001, max_wait=5.0, attempts=3)


class Fetching:
    """One URL into one file."""

    def __init__(self, server: FakeFiles, folder: Path) -> None:
        self.server = server
        self.into = folder / "downloads" / "all.zip"
        self.path = "/Debian/all.zip"
        self.told: list[tuple[int, int | None]] = []
        self.some_came = asyncio.Event()
        server.files[self.path] = BODY

    @property
    def part(self) -> Path:
        return self.into.with_name("all.zip.part")

    async def fetch(
        self,
        url: str = "",
        *,
        limits: Limits = LIMITS,
        max_bytes: int = 10_000_000,
        names: FakeNames | None = None,
        proxy: str = "",
    ) -> Download:
        client = HttpDownloads(
            clock=SystemClock(),
            limits=limits,
            resolver=names,
            proxy=URL(proxy) if proxy else None,
        )
        return await client.fetch(
            url or f"{self.server.url}{self.path}",
            self.into,
            max_bytes=max_bytes,
            told=self._hear,
        )

    def _hear(self, had: int, of: int | None) -> None:
        self.told.append((had, of))
        if had:
            self.some_came.set()


@pytest.fixture
async def server() -> AsyncIterator[FakeFiles]:
    async with file_server() as files:
        yield files


@pytest.fixture
def fetching(server: FakeFiles, tmp_path: Path) -> Fetching:
    return Fetching(server, tmp_path)
