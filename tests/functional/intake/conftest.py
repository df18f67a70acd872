"""An intake over memory backends, asked over real HTTP."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from services.intake.hearing import Hearing
from services.intake.prewarm import Prewarm
from services.intake.settings import IntakeSettings
from services.intake.wiring import IntakePorts, IntakeSites, run_intake
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step
from shared.ports.steps import Settle
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.settings import Secret
from tests.fakes.anchore_notices import PASSWORD, login
from tests.fakes.pushes import KEY, TOKEN, bearer, signed
from tests.house import Answer, memory_backends
from tests.waiting import PATIENCE, eventually


class Intake:
    """A running intake, and a client to send it events."""

    def __init__(
        self, *, sites: IntakeSites, session: aiohttp.ClientSession, queue: MemoryQueue
    ) -> None:
        self.sites = sites
        self.session = session
        self.queue = queue

    async def post(
        self, body: Any, path: str = "distribution", *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send bytes, or whatever aiohttp takes, to one of the endpoints."""
        url = f"{self.sites.events.url}/events/{path}"
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self.session.post(url, data=data, headers=headers or {}) as answer:
            return Answer(answer.status, await answer.json())

    async def from_registry(self, body: bytes, *, query: str = "") -> Answer:
        """An envelope with the right token."""
        return await self.post(body, f"distribution{query}", headers=bearer())

    async def from_pipeline(self, body: bytes) -> Answer:
        """An event with the right signature."""
        return await self.post(body, "generic", headers=signed(body))

    async def from_anchore(self, body: bytes) -> Answer:
        """A notice with the right login."""
        return await self.post(body, "anchore", headers=login())

    async def asked_for(self) -> list[str]:
        """The images whose steps wait in the prewarm lane; they wait no more after this."""
        images: list[str] = []

        async def take(step: Step) -> Settle:
            images.append(step.reference)
            return Settle.ACK

        taking = asyncio.create_task(self.queue.consume(Lane.PREWARM, take, concurrency=8))
        await eventually(lambda: len(images) == self.published)
        await self.queue.drain(timeout=1)
        await taking
        return images

    async def get(self, path: str) -> tuple[int, str]:
        assert self.sites.health is not None
        async with self.session.get(f"{self.sites.health.url}/{path}") as answer:
            return answer.status, await answer.text()

    @property
    def published(self) -> int:
        """Steps in the prewarm lane; there are none elsewhere."""
        steps = self.queue.carried.steps()
        assert all(each.lane is Lane.PREWARM for each in steps)
        return sum(each.published for each in steps)


@asynccontextmanager
async def intake_of(
    state: Path,
    *,
    rules: Rules | None = None,
    ports: IntakePorts | None = None,
    **changed: Any,
) -> AsyncIterator[Intake]:
    """An intake with all its secrets set; `changed` are settings."""
    backends = memory_backends()
    queue = backends.queue
    assert isinstance(queue, MemoryQueue)
    settings = IntakeSettings(
        imagegate_state=state,
        imagegate_intake_port=0,
        imagegate_health_port=0,
        imagegate_events_token=Secret(TOKEN),
        imagegate_events_hmac=Secret(KEY),
        imagegate_events_password=Secret(PASSWORD),
    )
    settings = msgspec.structs.replace(settings, **changed)
    ports = ports or IntakePorts(
        claims=backends.claims, queue=queue, store_ping=backends.store.ping
    )
    async with AsyncExitStack() as stack:
        sites = await stack.enter_async_context(
            run_intake(
                settings,
                Lifecycle(),
                ports=ports,
                rules=lambda: rules or Rules(),
                metrics=Metrics(),
            )
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Intake(sites=sites, session=session, queue=queue)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long senders wait for a store and a queue is not what is asked here."""
    monkeypatch.setattr("services.intake.wiring.Prewarm", partial(Prewarm, within=PATIENCE))
    monkeypatch.setattr("services.intake.wiring.Hearing", partial(Hearing, within=PATIENCE))


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Intake]:
    async with intake_of(tmp_path) as running:
        yield running
