"""What the tests of scans stand on: everything real but the clock, the store and the queue."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from services.worker.budget import Poll, PollBudget
from services.worker.judging import Judging
from services.worker.ledger import Ledger
from services.worker.pointing import Pointing
from services.worker.quick import QuickLooks
from services.worker.scan import Scan
from shared.adapters.anchore.calls import Limits
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.breaker import Breaker
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.polls import MemoryPolls
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.registry.breakers import RegistryBreakers
from shared.adapters.registry.client import RegistryClient
from shared.domain.pointer import MINUTE
from shared.domain.reference import ImageReference
from shared.domain.rules import RegistryRule, Rules
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Action, Question, Subject, Verdict, last_error_key, scan_key
from shared.domain.why import Why
from shared.ports.claims import Claim
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry
from tests.fakes.sealing import PlainSealer

QUESTION = Question()
CONTENT = tiny_image()


class Rig:
    """A scan over a fake Anchore and a fake registry; follow-ups are kept instead of queued."""

    def __init__(
        self,
        anchore: FakeAnchore,
        registry: FakeRegistry,
        clock: FakeClock,
        *,
        polls: float,
        scanner_budget: float,
        places: int,
        failures: int,
        analyses: int,
        from_unchecked: Action,
    ) -> None:
        self.anchore, self.registry, self.clock = anchore, registry, clock
        self.leases = MemoryScanLeases(clock=clock)
        self.claims = MemoryRequestClaims(clock=clock, leases=self.leases)
        self.store = MemoryVerdictStore(clock=clock, leases=self.leases)
        sealer = PlainSealer()
        self.ledger = Ledger(store=self.store, sealer=sealer, unsealer=sealer, clock=clock)
        self.polls: list[Poll] = []
        self.budget = PollBudget(
            polls=MemoryPolls(clock=clock, under_way=self.leases.under_way),
            rate=polls,
            clock=clock,
            pause=self.pause,
            on_poll=self.polls.append,
        )
        self.quick = QuickLooks(
            budget=self.budget,
            clock=clock,
            pause=self.pause,
            places={Lane.CHECK: places, Lane.CHECK_PREWARM: places},
        )
        self.breaker = Breaker(what=f"Anchore at {anchore.url}", clock=clock, failures=failures)
        self.paused: list[float] = []
        self.while_paused: Callable[[int], bool] = lambda number: True
        """What happens meanwhile, by the number of the pause; False: the process is to stop."""
        self.verdicts: list[tuple[Verdict, float]] = []
        self.followed: list[tuple[Step, int]] = []
        self.numbers: Iterator[int] = iter(range(1000))
        self.scanner_budget = scanner_budget
        self.analyses = analyses
        self.from_unchecked = from_unchecked
        self.put_off: list[Step] = []

    async def build(self, stack: AsyncExitStack) -> "Rig":
        rules = Rules(registries=(RegistryRule(self.registry.host, insecure=True),))
        breakers = RegistryBreakers(rules=lambda: rules, clock=self.clock)
        transport = await stack.enter_async_context(
            AnchoreTransport(
                url=self.anchore.url,
                user="admin",
                password=self.anchore.password,
                limits=Limits(pause=0.01, longest_pause=0.02),
                breaker=self.breaker,
            )
        )
        resolver = await stack.enter_async_context(
            RegistryClient(rules=lambda: rules, clock=self.clock, breakers=breakers)
        )
        scanner = AnchoreV1(transport=transport, clock=self.clock)
        pointing = Pointing(
            resolver=resolver, ledger=self.ledger, rules=lambda: rules, clock=self.clock
        )
        self.scan = Scan(
            scanner=scanner,
            pointing=pointing,
            judging=Judging(
                scanner=scanner,
                pointing=pointing,
                ledger=self.ledger,
                clock=self.clock,
                on_verdict=lambda verdict, seconds: self.verdicts.append((verdict, seconds)),
                from_unchecked=self.from_unchecked,
            ),
            claims=self.claims,
            leases=self.leases,
            follow=self.follow,
            budget=self.budget,
            quick=self.quick,
            clock=self.clock,
            places=self.analyses,
            scanner_budget=self.scanner_budget,
            on_put_off=self.put_off.append,
        )
        self.reference = self.registry.put(CONTENT, "team/app:1")
        return self

    def another_image(self, name: str = "another") -> ImageReference:
        """One more in the registry."""
        return self.registry.put(tiny_image(config={"User": name}), f"team/{name}:1")

    async def move_tag_on(self) -> Subject:
        """The tag names another image, and did just before; as what its content is judged now."""
        for number in range(2):
            self.registry.put(tiny_image(config={"User": f"moved {number}"}), "team/app:1")
            self.clock.advance(2 * MINUTE)
            await self.scan.resolve(self.step())
        return Subject(self.reference.repository, CONTENT.digest)

    async def pause(self, seconds: float) -> bool:
        """Time passes at once."""
        self.clock.advance(round(1000 * seconds))
        self.paused.append(seconds)
        return self.while_paused(len(self.paused))

    async def follow(self, step: Step, delay: int) -> None:
        self.followed.append((step, delay))

    def step(
        self,
        *,
        why: Why = Why.ADMISSION,
        reference: ImageReference | None = None,
        lane: Lane = Lane.ADMISSION,
        question: Question = QUESTION,
        **more: Any,
    ) -> Step:
        step = Step(
            id=f"request-{next(self.numbers)}",
            kind=StepKind.REQUEST,
            lane=lane,
            reference=str(reference or self.reference),
            question=question,
            first_seen=self.clock.now(),
            why=why,
            claim="claim",
        )
        return msgspec.structs.replace(step, **more)

    @property
    def subject(self) -> Subject:
        return Subject(self.reference.repository, CONTENT.digest, "1")

    def next_check(self) -> Step:
        """The follow-up published last, as a worker would get it."""
        return self.followed[-1][0]

    async def verdict(self) -> Verdict | None:
        return await self.ledger.verdict(self.subject, QUESTION)

    async def error(self, subject: Subject | None = None) -> Verdict | None:
        key = last_error_key(subject or self.subject, QUESTION)
        return await self.ledger._read(key, Verdict)

    async def held(self) -> bool:
        """Whether a scan record is in sight."""
        key = scan_key(self.subject, QUESTION)
        claim = await self.claims.claim(
            f"probe-{next(self.numbers)}", self.step(), life=1, scans=[key]
        )
        return claim is Claim.SCANNING


@asynccontextmanager
async def rigged(
    *,
    polls: float = 20.0,
    scanner_budget: float = 15.0,
    places: int = 0,
    failures: int = 1000,
    analyses: int = 8,
    from_unchecked: Action = Action.WARN,
) -> AsyncIterator[Rig]:
    """`places` for quick looks in each lane of checks, and of `analyses` for prewarm; the breaker
    opens after `failures`."""
    async with AsyncExitStack() as stack:
        anchore = await stack.enter_async_context(FakeAnchore(analysis_seconds=None))
        registry = await stack.enter_async_context(FakeRegistry())
        # The fake Anchore's answers carry the real time, which orders verdicts.
        clock = FakeClock(now=SystemClock().now())
        rig = Rig(
            anchore,
            registry,
            clock,
            polls=polls,
            scanner_budget=scanner_budget,
            places=places,
            failures=failures,
            analyses=analyses,
            from_unchecked=from_unchecked,
        )
        yield await rig.build(stack)
