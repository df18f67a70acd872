"""One FakeAnchore a test, and clients of it with short limits."""

from collections.abc import AsyncIterator

import pytest

from shared.adapters.anchore.calls import Limits
from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_policies import V1_POLICIES
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock

QUICK = Limits(
    attempts=3, attempt=10.0, total=30.0, pause=0.01, longest_pause=0.02, short_retry_after=0.2
)
"""Short pauses; time enough for an answer on a busy machine."""
HASTY = Limits(attempts=3, attempt=0.15, total=0.4, pause=0.01, longest_pause=0.02)
"""For servers that never answer."""
NOW = 1_800_000_000_000
"""Later than every recording: 2027-01-15."""

Calls = list[tuple[str, str]]


@pytest.fixture
async def anchore() -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore() as fake:
        yield fake


@pytest.fixture
def calls() -> Calls:
    """(operation, outcome) of every attempt, in order."""
    return []


@pytest.fixture
async def transport(anchore: FakeAnchore, calls: Calls) -> AsyncIterator[AnchoreTransport]:
    async with AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=QUICK,
        on_call=lambda operation, outcome, _: calls.append((operation, outcome)),
    ) as opened:
        yield opened


@pytest.fixture
async def hasty(anchore: FakeAnchore, calls: Calls) -> AsyncIterator[AnchoreTransport]:
    async with AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=HASTY,
        on_call=lambda operation, outcome, _: calls.append((operation, outcome)),
    ) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=NOW)


@pytest.fixture
def scanner(transport: AnchoreTransport, clock: FakeClock) -> AnchoreV1:
    return AnchoreV1(transport=transport, clock=clock)


@pytest.fixture
def policies(transport: AnchoreTransport) -> AnchorePolicies:
    return AnchorePolicies(transport=transport, dialect=V1_POLICIES)
