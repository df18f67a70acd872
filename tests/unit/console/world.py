"""An `Ops` on in-process adapters, with pens to write into them and switches to take them away."""

import msgspec

from services.console.ops import Ops
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import QueueUnavailable, StoreUnreachable, TransientFailure
from shared.domain.pointer import DAY
from shared.domain.signing import Kind
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import (
    Evaluation,
    Outcome,
    Question,
    Subject,
    Verdict,
    last_error_key,
    verdict_key,
)
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.ports.presence import Alive, Beat
from shared.ports.scanner import Analysed, ScannerInfo
from shared.ports.steps import Depths
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer

DIGEST = f"sha256:{'a' * 64}"
QUESTION = Question()


class StubScanner:
    """Only tells who it is, unless it is down."""

    def __init__(self) -> None:
        self.down = False

    async def info(self) -> ScannerInfo:
        if self.down:
            raise TransientFailure("anchore at 127.0.0.1:8228 is down")
        return ScannerInfo("anchore", "1.1.0", "v1")

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        raise NotImplementedError

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysed:
        raise NotImplementedError

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        raise NotImplementedError

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        raise NotImplementedError


class Queue(MemoryQueue):
    """Does not answer while it is `away`; does not tell what is in hand while it is `discreet`."""

    away = ""
    discreet = False

    async def depths(self) -> Depths:
        if self.away:
            raise QueueUnavailable(self.away)
        depths = await super().depths()
        if not self.discreet:
            return depths
        lanes = (msgspec.structs.replace(lane, unacknowledged=None) for lane in depths.lanes)
        return msgspec.structs.replace(depths, lanes=tuple(lanes))


class Claims(MemoryRequestClaims):
    """In a store that does not answer while it is `away`."""

    away = ""

    async def oldest(self) -> dict[Lane, int]:
        if self.away:
            raise StoreUnreachable(self.away)
        return await super().oldest()


class Presence(MemoryPresence):
    """In a store that does not answer while it is `away`."""

    away = ""

    async def alive(self) -> list[Alive]:
        if self.away:
            raise StoreUnreachable(self.away)
        return await super().alive()


class Decisions(MemoryDecisionLog):
    """In a store that does not answer while it is `away`."""

    away = ""

    async def recent(self, *, limit: int, after: str = "") -> list[StoredDecision]:
        if self.away:
            raise StoreUnreachable(self.away)
        return await super().recent(limit=limit, after=after)


class World:
    """The adapters, and what looks at them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sealer = PlainSealer()
        self.leases = MemoryScanLeases(clock=self.clock)
        self.claims = Claims(clock=self.clock, leases=self.leases)
        self.store = MemoryVerdictStore(clock=self.clock, leases=self.leases)
        self.queue = Queue(clock=self.clock)
        self.letters = MemoryDeadLetters(queue=self.queue, clock=self.clock)
        self.decisions = Decisions(clock=self.clock)
        self.presence = Presence(clock=self.clock)
        self.exceptions = MemoryExceptionStore(clock=self.clock, announce=self.store.announce)
        self.scanner: StubScanner | None = StubScanner()

    def ops(self) -> Ops:
        return Ops(
            store=self.store,
            unsealer=PlainSealer(),
            claims=self.claims,
            leases=self.leases,
            queue=self.queue,
            letters=self.letters,
            decisions=self.decisions,
            presence=self.presence,
            exceptions=self.exceptions,
            scanner=self.scanner,
            clock=self.clock,
            facts=lambda: {"webhook": "https://127.0.0.1:8443"},
        )

    def broker_away(self, why: str) -> None:
        """Empty: it answers again."""
        self.queue.away = why

    def store_away(self, why: str) -> None:
        """Empty: it answers again."""
        self.claims.away = self.presence.away = self.decisions.away = why

    async def beat(
        self,
        name: str,
        *,
        service: str = "worker",
        delivered: dict[Lane, int] | None = None,
        in_hand: dict[Lane, int] | None = None,
    ) -> None:
        """A process says that it lives."""
        now = self.clock.now()
        beat = Beat(name, service, "1", now, delivered=delivered or {}, in_hand=in_hand or {})
        await self.presence.beat(beat)

    async def decided(self, *names: str) -> None:
        """Pods of these names were denied."""
        await self.decisions.write([decision(name, at=self.clock.now()) for name in names])

    async def died(self, body: bytes, lane: Lane = Lane.CHECK) -> None:
        """A message died."""
        self.queue.dead.add(lane, body)

    async def put(self, record: msgspec.Struct, *, kind: Kind, key: str, life: int = DAY) -> None:
        now = self.clock.now()
        sealed = self.sealer.seal(record, kind=kind, key=key, order=now, ends=now + life)
        await self.store.put(sealed, key=key, ends=now + life)

    async def put_verdict(self, outcome: Outcome, *, tag: str | None = "1", **more: object) -> None:
        subject = Subject("a.example/b", DIGEST, tag)
        verdict = msgspec.structs.replace(
            Verdict(
                subject=subject,
                question=QUESTION,
                outcome=outcome,
                evaluated_at=self.clock.now(),
                policy_id="prod",
            ),
            **more,
        )
        key = last_error_key if outcome is Outcome.ERROR else verdict_key
        await self.put(verdict, kind=Kind.VERDICT, key=key(subject, QUESTION))


def a_step(world: World, lane: Lane) -> Step:
    return Step(
        id="s",
        kind=StepKind.REQUEST,
        lane=lane,
        reference="a.example/b:1",
        question=QUESTION,
        first_seen=world.clock.now(),
    )


def decision(name: str, *, at: int) -> DecisionRecord:
    return DecisionRecord(
        at=at,
        allowed=False,
        state="fail",
        code=403,
        kind="Pod",
        namespace="team",
        name=name,
        user="ada",
        operation="CREATE",
        images=("a.example/b:1",),
    )
