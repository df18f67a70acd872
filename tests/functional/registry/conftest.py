"""A fake registry, and clients whose rules name it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from ssl import SSLContext

import pytest
from aiohttp.abc import AbstractResolver

from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.limits import Timeouts
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry

OpenClient = Callable[..., Awaitable[RegistryClient]]


PATIENT = Timeouts(
    connect=30, head=30, manifest=30, index=30, token=30, helper_wait=30, idle=30, blob=30
)
"""What is answered is waited for."""


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as opened:
        yield opened


@pytest.fixture
async def other() -> AsyncIterator[FakeRegistry]:
    """A second server, which the rules do not name unless a test says so."""
    async with FakeRegistry() as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def open_client(clock: FakeClock) -> AsyncIterator[OpenClient]:
    async with AsyncExitStack() as stack:

        async def opened(
            rules: Rules | Callable[[], Rules],
            *,
            timeouts: Timeouts = PATIENT,
            ssl_context: SSLContext | None = None,
            resolver: AbstractResolver | None = None,
        ) -> RegistryClient:
            client = RegistryClient(
                rules=(lambda: rules) if isinstance(rules, Rules) else rules,
                clock=clock,
                timeouts=timeouts,
                ssl_context=ssl_context,
                resolver=resolver,
            )
            return await stack.enter_async_context(client)

        yield opened


@pytest.fixture
async def client(registry: FakeRegistry, open_client: OpenClient) -> RegistryClient:
    """Its rules name `registry`, over plain HTTP; it has time on a busy machine."""
    return await open_client(rules_naming(registry))


@pytest.fixture
async def hurried(registry: FakeRegistry, open_client: OpenClient) -> RegistryClient:
    """The same for who is kept waiting: with short timeouts."""
    timeouts = Timeouts(connect=0.5, head=0.5, manifest=0.5, index=1, token=0.5, idle=0.5, blob=1)
    return await open_client(rules_naming(registry), timeouts=timeouts)


def rules_naming(*registries: FakeRegistry, credentials: str = "") -> Rules:
    return Rules(
        registries=tuple(
            RegistryRule(host=each.host, insecure=True, credentials=credentials)
            for each in registries
        )
    )
