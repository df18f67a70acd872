"""A process that commands find beside them: the socket of `imagegate up`, over ports in process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from services.cli.break_glass.desk import Desk
from services.cli.ops_http import SOCKET, ops_app
from services.cli.reports.report import ImageReport
from services.cli.scans import ImageState, ScanStarted
from services.console.wiring import ConsolePorts, ops_of
from services.webhook.requests import Asked
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import QueueFull, QueueUnavailable
from shared.domain.policy import Bundle, Policy
from shared.domain.policy_forms import Form
from shared.domain.rules import PolicyChoice
from shared.domain.step import Lane, Step, StepKind, encode_step, failed
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.policies import Policies
from shared.ports.signing import Unsealer
from shared.ports.steps import Depths
from shared.ports.verdicts import Put
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve_unix
from tests.fakes.sealing import PlainSealer


class ExceptionPut(Protocol):
    """What puts an exception."""

    async def __call__(self, sealed: bytes, *, exception_id: str, ends: int) -> Put: ...


class Queue(MemoryQueue):
    """Does not answer while it is `away`, takes no step while it is `full`."""

    away = ""
    full = ""

    async def depths(self) -> Depths:
        if self.away:
            raise QueueUnavailable(self.away)
        return await super().depths()

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        if self.full:
            raise QueueFull(self.full)
        await super().publish(step, delay=delay, expires_in=expires_in)


class Exceptions(MemoryExceptionStore):
    """Answers a put with what `answer` does, where a test sets it."""

    answer: ExceptionPut | None = None

    async def put(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        put = self.answer or super().put
        return await put(sealed, exception_id=exception_id, ends=ends)


class NoScans:
    """Nobody scans here."""

    async def start(
        self,
        image: str,
        *,
        dockerfile: bytes | None,
        policy: PolicyChoice | None = None,
        force: bool = False,
    ) -> ScanStarted:
        raise NotImplementedError

    async def prewarm(self, image: str, question: Question, *, why: Why) -> Asked:
        raise NotImplementedError

    async def state(self, image: str, *, policy: PolicyChoice | None = None) -> ImageState:
        raise NotImplementedError

    async def report(self, digest: str, *, account: str = "") -> ImageReport:
        raise NotImplementedError


class NoPolicies:
    """Nobody judges here."""

    async def form(self) -> Form:
        raise NotImplementedError

    async def all(self, *, account: str = "") -> tuple[Policy, ...]:
        raise NotImplementedError

    async def get(self, policy_id: str, *, account: str = "") -> Policy | None:
        raise NotImplementedError

    async def push(self, bundle: Bundle, *, account: str = "", activate: bool = True) -> Policy:
        raise NotImplementedError

    async def activate(self, policy_id: str, *, account: str = "") -> Policy:
        raise NotImplementedError


class Beside:
    """The ports."""

    def __init__(self, unsealer: Unsealer) -> None:
        self.clock = SystemClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.queue = Queue(clock=self.clock)
        self.decisions = MemoryDecisionLog(clock=self.clock)
        self.presence = MemoryPresence(clock=self.clock)
        self.store = MemoryVerdictStore(clock=self.clock, leases=leases)
        self.exceptions = Exceptions(clock=self.clock, announce=self.store.announce)
        self.ports = ConsolePorts(
            store=self.store,
            claims=MemoryRequestClaims(clock=self.clock, leases=leases),
            leases=leases,
            queue=self.queue,
            letters=MemoryDeadLetters(queue=self.queue, clock=self.clock),
            decisions=self.decisions,
            presence=self.presence,
            exceptions=self.exceptions,
            unsealer=unsealer,
            scanner=None,
        )

    @property
    def desk(self) -> Desk:
        return Desk(
            exceptions=self.exceptions,
            records=self.store,
            presence=self.presence,
            unsealer=self.ports.unsealer,
            clock=self.clock,
        )

    def died(self, image: str, *failures: str, lane: Lane = Lane.CHECK) -> str:
        """A request for `image` died; the letter's id."""
        now = self.clock.now()
        step = Step("s", StepKind.REQUEST, lane, image, Question(), first_seen=now)
        for failure in failures:
            step = failed(step, failure)
        return self.died_raw(encode_step(step), lane=lane)

    def died_raw(self, body: bytes, *, lane: Lane = Lane.CHECK) -> str:
        """Any message died; the letter's id."""
        self.queue.dead.add(lane, body)
        return self.queue.dead.oldest(len(self.queue.dead))[-1].id

    async def ready(self) -> dict[Lane, int]:
        """How many steps stand in each lane, without lanes where none does."""
        lanes = (await self.queue.depths()).lanes
        return {lane.lane: lane.ready for lane in lanes if lane.ready}

    @property
    def dead(self) -> set[str]:
        """The ids of the dead letters."""
        return {letter.id for letter in self.queue.dead.oldest(len(self.queue.dead))}


@asynccontextmanager
async def beside(
    state: Path, *, unsealer: Unsealer | None = None, policies: Policies | None = None
) -> AsyncIterator[Beside]:
    """Serve them on the socket of the state folder."""
    served = Beside(unsealer or PlainSealer())
    app = ops_app(
        ops=ops_of(served.ports),
        scans=NoScans(),
        letters=served.ports.letters,
        desk=served.desk,
        policies=policies or NoPolicies(),
    )
    async with serve_unix(app, state / SOCKET):
        yield served
