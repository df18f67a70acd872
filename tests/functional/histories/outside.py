"""What the processes of a history share: images, queue, store, scanner and registry."""

from collections import Counter

import msgspec

from services.webhook.catalogue import Image
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.polls import MemoryPolls
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import QueueUnconfirmed, TakenForDown
from shared.domain.pointer import Index
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.step import Lane, Step
from shared.domain.verdict import Evaluation, Question, Subject, verdict_key
from shared.ports.resolver import Resolved
from shared.ports.scanner import Analysed, Analysis, ScannerInfo
from shared.ports.steps import Depths, Handler, LaneDepth
from tests.fakes.clock import FakeClock
from tests.functional.histories.processes import Process

QUESTION = Question()

NEVER = 10**15

MOST_MESSAGES = 50
"""Where a history that floods the queue is ended, for each image."""


class Known(msgspec.Struct, frozen=True):
    """One image, and how it is spelt everywhere."""

    number: int

    @property
    def digest(self) -> str:
        return f"sha256:{self.number:064x}"

    @property
    def reference(self) -> ImageReference:
        return parse_reference(f"registry.corp/team/app{self.number}:1")

    @property
    def image(self) -> Image:
        return Image(str(self.reference), self.reference, False, QUESTION)

    @property
    def subject(self) -> Subject:
        return Subject(self.reference.repository, self.digest, "1")

    @property
    def verdict(self) -> str:
        return verdict_key(self.subject, QUESTION)


class Message(msgspec.Struct, eq=False):
    """A step in the queue, from `ready_at` (ms) on; in a process's hand or not."""

    step: Step
    ready_at: int
    holder: Process | None = None


class Queue:
    """A `StepQueue` that the world delivers from in any order, and that may lose confirms."""

    def __init__(self, clock: FakeClock, *, most: int = MOST_MESSAGES) -> None:
        self._clock = clock
        self._most = most
        self.messages: list[Message] = []
        self.lose: list[bool] = []
        """For the next publishes whose confirm is lost: whether the step arrives."""

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        arrives = self.lose.pop() if self.lose else None
        if arrives is not False:
            assert len(self.messages) < self._most, "S3: the queue is flooded"
            self.messages.append(Message(step, self._clock.now() + 1000 * delay))
        if arrives is not None:
            raise QueueUnconfirmed("no confirm")

    async def consume(self, lane: Lane, handler: Handler, *, concurrency: int) -> None:
        raise NotImplementedError

    async def drain(self, *, timeout: float) -> None:
        raise NotImplementedError

    async def depths(self) -> Depths:
        ready = Counter(message.step.lane for message in self.messages)
        return Depths(
            lanes=tuple(LaneDepth(lane, ready[lane]) for lane in Lane), delayed={}, dead=0
        )

    async def ping(self) -> None:
        raise NotImplementedError

    def ready(self) -> list[Message]:
        now = self._clock.now()
        return [one for one in self.messages if one.holder is None and one.ready_at <= now]


class Redis:
    """The store, the claims and the scan records, which can be emptied."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.empty()

    def empty(self) -> None:
        self.leases = MemoryScanLeases(clock=self._clock)
        self.claims = MemoryRequestClaims(clock=self._clock, leases=self.leases)
        self.store = MemoryVerdictStore(clock=self._clock, leases=self.leases)
        self.polls = MemoryPolls(clock=self._clock, under_way=self.leases.under_way)


class Anchore:
    """A `Scanner`; each evaluation says when it was made. An analyzer may die under an analysis,
    which then never ends."""

    def __init__(self, clock: FakeClock, *, analysis: int, dies: int = 0) -> None:
        """`dies`: under how many of the analyses that begin."""
        self._clock = clock
        self._analysis = analysis
        self._dies = dies
        self.refuses: set[str] = set()
        """Digests that the policy stops."""
        self.passed: set[str] = set()
        """Digests that were evaluated as good."""
        self._done_at: dict[str, int] = {}
        self.submits: Counter[str] = Counter()
        self.forced = 0
        self.away_until = 0
        self.refused = 0

    @property
    def outstanding(self) -> int:
        """Analyses that run."""
        now = self._clock.now()
        return sum(done_at > now for done_at in self._done_at.values())

    def is_done(self, digest: str) -> bool:
        return self._done_at.get(digest, NEVER) <= self._clock.now()

    def _ask(self) -> None:
        if self._clock.now() < self.away_until:
            self.refused += 1
            raise TakenForDown("taken for down", retry_after=1.0)

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        self._ask()
        if subject.digest not in self._done_at:
            return Analysed(Analysis.UNKNOWN)
        done = self.is_done(subject.digest)
        return Analysed(Analysis.DONE if done else Analysis.RUNNING)

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysed:
        self._ask()
        if force or subject.digest not in self._done_at:
            self._begin(subject.digest)
        self.submits[subject.digest] += 1
        self.forced += force
        return await self.analysis(subject, question)

    def _begin(self, digest: str) -> None:
        dies = self._dies > 0
        self._dies -= dies
        self._done_at[digest] = NEVER if dies else self._clock.now() + self._analysis

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        self._ask()
        assert self.is_done(subject.digest), "evaluated before it is analysed"
        good = subject.digest not in self.refuses
        if good:
            self.passed.add(subject.digest)
        return Evaluation(
            status="pass" if good else "fail",
            final_action="go" if good else "stop",
            digests=(subject.digest,),
            tag=subject.scan_tag,
            policy_id="p",
            mapped=True,
            problems=(),
            findings=(),
            evaluated_at=self._clock.now(),
            revision="r",
        )

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        return ""

    async def info(self) -> ScannerInfo:
        raise NotImplementedError


class Registry:
    """A `DigestResolver` with one tag of each image, which may move."""

    def __init__(self, images: list[Known]) -> None:
        self._digests = {str(each.reference): each.digest for each in images}

    def move(self, image: Known, *, to: str) -> None:
        """Its tag names another digest from now on."""
        self._digests[str(image.reference)] = to

    async def resolve(self, reference: ImageReference) -> Resolved:
        named = reference.digest or self._digests[str(reference)]
        return Resolved(named, is_index=False)

    async def index(self, reference: ImageReference, digest: str, *, asked_at: int) -> Index:
        raise NotImplementedError

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[str, bytes]:
        return "application/vnd.oci.image.manifest.v1+json", b"{}"
