"""A real console on ports in this process: what it asks can be away, and it can be restarted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from services.console.settings import ConsoleSettings
from services.console.wiring import ConsolePorts, ops_of, run_console
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import QueueUnavailable, StoreUnreachable
from shared.domain.signing import Kind
from shared.domain.step import Lane
from shared.domain.verdict import Verdict, last_error_key, verdict_key
from shared.ports.clock import Clock
from shared.ports.presence import Alive
from shared.ports.scanner import Scanner
from shared.ports.steps import Depths, LaneDepth
from shared.runtime.clock import SystemClock
from shared.runtime.http import Bound
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.settings import Secret
from shared.runtime.tls import CertificateFiles
from tests.fakes.sealing import PlainSealer

TOKEN = "the-token-of-these-tests-0123456789"
DELAYS = (1, 2, 5, 10, 30, 60, 120, 300)


class ShownQueue(MemoryQueue):
    """The queue in process, that tells the depths a test wants, or does not answer."""

    away = ""
    shown: Depths | None = None

    async def depths(self) -> Depths:
        if self.away:
            raise QueueUnavailable(self.away)
        return self.shown or await super().depths()

    async def ping(self) -> None:
        if self.away:
            raise QueueUnavailable(self.away)


class ShownClaims(MemoryRequestClaims):
    """Tells the ages that a test wants."""

    shown: dict[Lane, int] | None = None

    async def oldest(self) -> dict[Lane, int]:
        return await super().oldest() if self.shown is None else self.shown


class ShownPresence(MemoryPresence):
    """Who is alive in this process, or a store that does not answer."""

    away = ""

    async def alive(self) -> list[Alive]:
        if self.away:
            raise StoreUnreachable(self.away)
        return await super().alive()


def depths(*, dead: int = 0, workers: int = 1, ready: int = 0, **by_lane: LaneDepth) -> Depths:
    """All lanes alike, but for those that are named (`check_prewarm=...`)."""
    lanes = tuple(
        by_lane.get(lane.replace("-", "_"))
        or LaneDepth(lane=lane, ready=ready, unacknowledged=0, consumers=workers)
        for lane in Lane
    )
    return Depths(lanes=lanes, delayed=dict.fromkeys(DELAYS, 0), dead=dead)


class Site:
    """The ports, to be filled by a test; `start` and `stop` serve them at one address."""

    def __init__(
        self,
        state: Path,
        *,
        clock: Clock | None = None,
        every: float = 0.2,
        scanner: Scanner | None = None,
        facts: dict[str, str] | None = None,
        certificate: CertificateFiles | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.leases = MemoryScanLeases(clock=self.clock)
        self.claims = ShownClaims(clock=self.clock, leases=self.leases)
        self.queue = ShownQueue(clock=self.clock)
        self.store = MemoryVerdictStore(clock=self.clock, leases=self.leases)
        self.decisions = MemoryDecisionLog(clock=self.clock)
        self.presence = ShownPresence(clock=self.clock)
        self.exceptions = MemoryExceptionStore(clock=self.clock, announce=self.store.announce)
        self.sealer = PlainSealer()
        self.url = ""
        self.life = Lifecycle()
        self.metrics = Metrics()
        self._ports = ConsolePorts(
            store=self.store,
            claims=self.claims,
            leases=self.leases,
            queue=self.queue,
            letters=MemoryDeadLetters(queue=self.queue, clock=self.clock),
            decisions=self.decisions,
            presence=self.presence,
            exceptions=self.exceptions,
            unsealer=self.sealer,
            scanner=scanner,
        )
        self._state = state
        self._every = every
        self._facts = facts or {}
        self._certificate = certificate
        self._port = 0
        self._serving = AsyncExitStack()

    async def start(self) -> None:
        """Serve; where it served before, if it did."""
        self.life, self.metrics = Lifecycle(drain_deadline=1.0), Metrics()
        self._serving.push_async_callback(self.life.cancel_tasks)
        bound = await self._serving.enter_async_context(self._console(self.life))
        self._port, self.url = bound.port, bound.url

    async def stop(self) -> None:
        """Serve no more."""
        await self._serving.aclose()
        self._serving = AsyncExitStack()

    async def put(self, verdict: Verdict, *, sealer: PlainSealer | None = None) -> None:
        """Store a verdict (or an error beside it), sealed by `sealer` if it is another's."""
        name = last_error_key if verdict.error else verdict_key
        key = name(verdict.subject, verdict.question)
        sealed = (sealer or self.sealer).seal(
            verdict,
            kind=Kind.VERDICT,
            key=key,
            order=verdict.evaluated_at,
            ends=verdict.ends_at,
        )
        await self.store.put(sealed, key=key, ends=verdict.ends_at)

    @asynccontextmanager
    async def _console(self, life: Lifecycle) -> AsyncIterator[Bound]:
        files = self._certificate
        settings = ConsoleSettings(
            imagegate_state=self._state,
            imagegate_console_port=self._port,
            imagegate_console_token=Secret(TOKEN),
            imagegate_console_every=self._every,
            imagegate_console_certificate=files.certificate if files else None,
            imagegate_console_certificate_key=files.key if files else None,
        )
        ops = ops_of(self._ports, facts=lambda: self._facts, clock=self.clock)
        console = run_console(settings, life, ops=ops, metrics=self.metrics, clock=self.clock)
        async with console as bound:
            yield bound
            # What is watched ends before the server waits for its streams.
            await life.cancel_tasks()


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[Site]:
    """The site, serving."""
    await site.start()
    try:
        yield site
    finally:
        await site.stop()
        await asyncio.sleep(0)
