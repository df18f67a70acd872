"""A fake API server, and the namespaces that are read from it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.namespaces import KubernetesNamespaces
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock
from tests.fakes.kubernetes import TOKEN, FakeKubernetes
from tests.waiting import eventually

QUICK = Pace(
    missing=3600.0,
    answer=30.0,
    watch=1,
    grace=30.0,
    read=30.0,
    review=30.0,
    shortest=0.05,
    first_pause=0.01,
    last_pause=0.05,
)
"""As the real one, but that nothing takes long; belief lasts, and a slow machine is waited for."""

HURRIED = msgspec.structs.replace(QUICK, answer=1.0, grace=0.3)
"""For who is not answered: what never comes is not waited for."""

CLOCK = SystemClock()


class Subject:
    """Namespaces under test, and what they said of their work."""

    def __init__(self, server: ApiServer, pace: Pace, clock: Clock) -> None:
        self.ends: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.namespaces = KubernetesNamespaces(
            server=server,
            clock=clock,
            pace=pace,
            on_watch=lambda end: self.ends.update([end.value]),
            on_read=lambda outcome: self.reads.update([outcome.value]),
        )

    def tier(self, name: str) -> str | None:
        """The label of that name; `-` for none; None: not known."""
        labels = self.namespaces.labels(name)
        return None if labels is None else labels.get("tier", "-")

    async def knows(self, name: str, tier: str | None) -> None:
        """Wait until that is known of it."""
        await eventually(lambda: self.tier(name) == tier)


@pytest.fixture
async def cluster() -> AsyncIterator[FakeKubernetes]:
    """Whose watches last a fifth of what was asked for: tests need not wait for all of it."""
    async with FakeKubernetes() as fake:
        fake.second = 0.2
        yield fake


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def rewrite(path: Path, content: str | bytes) -> None:
    """Put something else into a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@asynccontextmanager
async def opened(
    cluster: FakeKubernetes,
    token: Path | None,
    *,
    pace: Pace = QUICK,
    ca: Path | None = None,
    clock: Clock = CLOCK,
) -> AsyncIterator[Subject]:
    """Namespaces of that cluster, which nobody follows yet."""
    subject = Subject(ApiServer(cluster.url, token, ca), pace, clock)
    async with subject.namespaces:
        yield subject


@asynccontextmanager
async def followed(
    cluster: FakeKubernetes, token: Path, *, pace: Pace = QUICK, clock: Clock = CLOCK
) -> AsyncIterator[Subject]:
    """Namespaces of that cluster, which are followed."""
    async with opened(cluster, token, pace=pace, clock=clock) as subject, following(subject):
        yield subject


@asynccontextmanager
async def following(subject: Subject) -> AsyncIterator[None]:
    """While they are followed."""
    task = asyncio.create_task(subject.namespaces.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
