"""What the tests of the leader's work stand on: everything real but time, the queue's lanes, and
Anchore, which a test speaks for."""

import msgspec

from services.worker.in_use import Stand, Surveyed
from services.worker.ledger import Ledger
from services.worker.refresh import BUSY, Refresh, Refreshed, Waits
from services.worker.survey import Surveyor
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.memory.usage import MemoryUsage
from shared.domain.errors import ErrorKind, StepFailure, StoreUnreachable
from shared.domain.pointer import MINUTE, Index, Manifest, Pointer
from shared.domain.revision import Revision
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step
from shared.domain.verdict import Outcome, Question, Subject, Turn, Verdict, error_verdict
from shared.ports.steps import Depths, LaneDepth
from shared.ports.usage import Use, Used
from tests.fakes.clock import FakeClock
from tests.fakes.queue import RememberingQueue
from tests.fakes.sealing import PlainSealer

REPOSITORY = "registry.corp/team/app"
QUESTION = Question()
A, B, C, D = ("sha256:" + letter * 64 for letter in "abcd")


class Queue(RememberingQueue):
    """A queue in which so much stands as a test says, and that takes nothing where it says so."""

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.ready: dict[Lane, int] = {}
        self.failure: Exception | None = None
        self.full_after = 1_000_000
        """Steps, after which prewarm's lane is behind."""

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        if self.failure is not None:
            raise self.failure
        await super().publish(step, delay=delay, expires_in=expires_in)
        if len(self.published) >= self.full_after:
            self.ready[Lane.PREWARM] = BUSY

    async def depths(self) -> Depths:
        lanes = tuple(LaneDepth(lane, self.ready.get(lane, 0)) for lane in Lane)
        return Depths(lanes, {}, 0)


class Usage(MemoryUsage):
    """A store that may be away."""

    away = False

    async def recent(self, *, limit: int, before: Used | None = None) -> list[Used]:
        if self.away:
            raise StoreUnreachable("Redis at 127.0.0.1:1 refused the connection")
        return await super().recent(limit=limit, before=before)


class CareRig:
    """Store, usage and queue, a worker's pen, and a refresh over them."""

    def __init__(self, *, rate: float = 1.0, heads: float = 1_000.0, rules: Rules | None = None):
        self.clock = FakeClock()
        self.rules = rules or Rules()
        self.rate = rate
        leases = MemoryScanLeases(clock=self.clock)
        self.claims = MemoryRequestClaims(clock=self.clock, leases=leases)
        self.store = MemoryVerdictStore(clock=self.clock, leases=leases)
        self.usage = Usage(clock=self.clock)
        self.queue = Queue(clock=self.clock)
        self.unbelieved = 0
        """Records, as the worker counted them."""
        self.sealer = PlainSealer()
        self.ledger = self.pen(self.sealer)
        self.surveyor = Surveyor(
            usage=self.usage,
            ledger=self.ledger,
            rules=lambda: self.rules,
            clock=self.clock,
            pause=self.pause,
        )
        self.failure: StepFailure | None = None
        """Of the scanner."""
        self.surveys: list[Surveyed] = []
        self.done: list[tuple[Stand, Refreshed]] = []
        self.waits: list[Waits] = []
        self.paused: list[float] = []
        self.refresh = self.another_refresh(heads=heads)

    def pen(self, sealer: PlainSealer) -> Ledger:
        """Of whoever has that key."""
        return Ledger(
            store=self.store,
            sealer=sealer,
            unsealer=sealer,
            clock=self.clock,
            on_unbelieved=self._count_unbelieved,
        )

    def _count_unbelieved(self) -> None:
        self.unbelieved += 1

    def another_refresh(self, *, heads: float = 1_000.0) -> Refresh:
        """That of a worker which begins to lead."""
        return Refresh(
            surveyor=self.surveyor,
            claims=self.claims,
            queue=self.queue,
            probe=self.probe,
            clock=self.clock,
            rate=lambda: self.rate,
            heads=heads,
            on_survey=self.surveys.append,
            on_left=lambda stand, refreshed: self.done.append((stand, refreshed)),
            on_wait=self.waits.append,
            pause=self.pause,
        )

    async def pause(self, seconds: float) -> None:
        """Time passes at once."""
        self.clock.advance(round(1000 * seconds))
        self.paused.append(seconds)

    async def probe(self) -> None:
        if self.failure is not None:
            raise self.failure

    # What is used, and a worker's pen. `age`: so many milliseconds ago.

    async def uses(self, reference: str, *, ago: int = 0, question: Question = QUESTION) -> None:
        await self.usage.record({Use(reference, question): self.clock.now() - ago})

    async def judges(
        self,
        digest: str = A,
        outcome: Outcome = Outcome.PASS,
        *,
        tag: str | None = "1",
        age: int = 0,
        revision: str = "one",
        question: Question = QUESTION,
        turned: Turn | None = None,
        stretched: int = 0,
        repository: str = REPOSITORY,
        pen: Ledger | None = None,
    ) -> Verdict:
        at = self.clock.now() - age
        verdict = Verdict(
            Subject(repository, digest, tag),
            question,
            outcome,
            evaluated_at=at,
            policy_id="baseline",
            revision=revision,
            turned_at=at if turned else None,
            turned_by=turned,
            stretched=stretched,
        )
        await (pen or self.ledger).write_verdict(verdict, chain="")
        return verdict

    async def fails_to_judge(
        self,
        digest: str = A,
        *,
        tag: str | None = "1",
        age: int = 0,
        kind: ErrorKind = ErrorKind.TRANSIENT,
    ) -> None:
        error = error_verdict(
            Subject(REPOSITORY, digest, tag),
            QUESTION,
            kind=kind,
            message="Anchore is away",
            now=self.clock.now() - age,
        )
        error = msgspec.structs.replace(error, beside=True)
        await self.ledger.write_verdict(error, chain="")

    async def points(self, digest: str = A, *, tag: str = "1", is_index: bool = False) -> None:
        at = self.clock.now()
        pointer = Pointer(f"{REPOSITORY}:{tag}", at, digest, is_index, known_since=at)
        await self.ledger.write_pointer(pointer)

    async def names(self, digest: str, *manifests: Manifest) -> None:
        await self.ledger.write_index(Index(digest, manifests, self.clock.now()))

    async def answers_by(
        self, revision: str, *, since: int = 0, question: Question = QUESTION
    ) -> None:
        """This revision answers since so many milliseconds ago."""
        at = self.clock.now() - since
        await self.ledger.write_revision(Revision(question, "baseline", revision, seen_at=at))

    async def used_and_judged(self, number: int, *, age: int = 0, ago: int = 0) -> str:
        """One more image in use; its reference."""
        repository = f"registry.corp/team/app{number:04}"
        digest = f"sha256:{number:064x}"
        await self.judges(digest, repository=repository, age=age)
        reference = f"{repository}:1@{digest}"
        await self.uses(reference, ago=ago)
        return reference

    @property
    def asked(self) -> list[str]:
        """The references of the steps that were queued, in their order."""
        return [step.reference for step in self.queue.published]


DUE = 50 * MINUTE
"""The age of a pass that is due, and fresh still."""
