"""The invariants of docs/design/protocol.md under random interleavings and kills.

Two webhooks and two workers over the memory adapters. Every call of a port stops before and
after its effect until the world lets it go on, in random order; a kill ends all that a process
has in hand at whatever call it stands, and its deliveries come again. One seed, one history.
"""

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec
import pytest

from services.webhook.catalogue import Image
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.waiters import Waiters
from services.worker.budget import Poll, PollBudget
from services.worker.dispatch import Dispatch, Follower
from services.worker.judging import Judging
from services.worker.ledger import Ledger
from services.worker.pointing import Pointing
from services.worker.quick import QuickLooks
from services.worker.reconcile import Reconciler
from services.worker.scan import Scan
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.polls import MemoryPolls
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.decision import State
from shared.domain.errors import QueueUnconfirmed, TakenForDown
from shared.domain.pointer import Index
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Evaluation, Question, Subject, Verdict, verdict_key
from shared.domain.why import Why
from shared.ports.resolver import Resolved
from shared.ports.scanner import Analysed, Analysis, ScannerInfo
from shared.ports.steps import Depths, Handler, LaneDepth, Settle
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer

DIGEST = "sha256:" + "a" * 64
REFERENCE = parse_reference("registry.corp/team/app:1")
SUBJECT = Subject(REFERENCE.repository, DIGEST, "1")
QUESTION = Question()
IMAGE = Image("registry.corp/team/app:1", REFERENCE, False, QUESTION)
VERDICT = verdict_key(SUBJECT, QUESTION)

MOVES = 350
SEEDS = range(60)
ANALYSIS = 4_000
"""Milliseconds."""

KNOWN_WITHIN = 60_000
"""Milliseconds after the last fault: what nobody began is published again after 15 s, and what
waits for its follow-up's confirm is delivered again."""

MOST_MESSAGES = 50
"""Where a history that floods the queue is ended."""

MESSAGES = 6
"""In flight for one image with one fault (protocol.md, S3)."""

Port = TypeVar("Port")


class Killed(BaseException):
    """kill -9: nothing in the process runs on."""


class Process:
    """What stands at a call of a port, and whether the process lives."""

    def __init__(self) -> None:
        self.alive = True
        self.at: list[asyncio.Future[None]] = []
        self.tasks: set[asyncio.Task[Any]] = set()

    def run(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        error = task.exception()
        assert error is None or isinstance(error, Killed), repr(error)

    async def stand(self) -> None:
        if not self.alive:
            raise Killed
        here = asyncio.get_running_loop().create_future()
        self.at.append(here)
        await here

    def kill(self) -> None:
        self.alive = False
        for future in self.at:
            future.set_exception(Killed())
        self.at.clear()

    def calls(self, port: Callable[[], Port]) -> Port:
        """`port()`, each of whose calls stands still before and after its effect."""
        return cast(Port, _Standing(port, self))


class _Standing:
    def __init__(self, port: Callable[[], object], process: Process) -> None:
        self._port = port
        self._process = process

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            await self._process.stand()
            result = await getattr(self._port(), name)(*arguments, **named)
            await self._process.stand()
            return result

        return call


class Message(msgspec.Struct, eq=False):
    """A step in the queue, from `ready_at` (ms) on; in a process's hand or not."""

    step: Step
    ready_at: int
    holder: Process | None = None


class Queue:
    """A `StepQueue` that the world delivers from in any order, and that may lose confirms."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.messages: list[Message] = []
        self.lose: list[bool] = []
        """For the next publishes whose confirm is lost: whether the step arrives."""

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        arrives = self.lose.pop() if self.lose else None
        if arrives is not False:
            assert len(self.messages) < MOST_MESSAGES, "S3: the queue is flooded"
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
    """A `Scanner` with one image; each evaluation says when it was made."""

    def __init__(self, clock: FakeClock, *, analysis: int) -> None:
        self._clock = clock
        self._analysis = analysis
        self.submits = 0
        self.done_at = 0
        self.away_until = 0
        self.refused = 0

    def _ask(self) -> None:
        if self._clock.now() < self.away_until:
            self.refused += 1
            raise TakenForDown("taken for down", retry_after=1.0)

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        self._ask()
        if not self.submits:
            return Analysed(Analysis.UNKNOWN)
        done = self._clock.now() >= self.done_at
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
        if not self.submits:
            self.done_at = self._clock.now() + self._analysis
        self.submits += 1
        return await self.analysis(subject, question)

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        self._ask()
        return Evaluation(
            status="pass",
            final_action="go",
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
    """A `DigestResolver` with one tag."""

    async def resolve(self, reference: ImageReference) -> Resolved:
        return Resolved(DIGEST, is_index=False)

    async def index(self, reference: ImageReference, digest: str, *, asked_at: int) -> Index:
        raise NotImplementedError

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[str, bytes]:
        return "application/vnd.oci.image.manifest.v1+json", b"{}"


class Fault(StrEnum):
    """What can befall a history once."""

    WORKER_KILLED = "worker killed"
    WEBHOOK_KILLED = "webhook killed"
    PUBLISH_LOST = "publish lost"
    """Neither step nor confirm arrives."""
    CONFIRM_LOST = "confirm lost"
    RECONNECTED = "reconnected"
    """What a worker has in hand is delivered again while its handlers run on."""
    EMPTIED = "emptied"
    """FLUSHALL."""
    ANCHORE_AWAY = "anchore away"
    """Its breaker is open for a while."""


KILLS = (Fault.WORKER_KILLED, Fault.WEBHOOK_KILLED)


class World:
    """Everything, and the dice."""

    def __init__(self, seed: int, *, faults: Sequence[Fault], analysis: int = ANALYSIS) -> None:
        self.dice = random.Random(seed)
        self.faults = faults
        self.clock = FakeClock()
        self.redis = Redis(self.clock)
        self.queue = Queue(self.clock)
        self.anchore = Anchore(self.clock, analysis=analysis)
        self.sealer = PlainSealer()
        self.polls: Counter[Poll] = Counter()
        self.webhooks = [self.webhook(), self.webhook()]
        self.workers = [self.worker(), self.worker()]
        self.answers: list[State] = []
        self.orders: list[int] = []

    # What a process is made of.

    def webhook(self) -> tuple[Process, Knowledge]:
        process = Process()
        waiters = Waiters()
        cache = NearCache(
            store=process.calls(lambda: self.redis.store),
            unsealer=self.sealer,
            clock=self.clock,
            on_change=waiters.wake,
        )
        requests = Requests(
            claims=process.calls(lambda: self.redis.claims),
            queue=process.calls(lambda: self.queue),
            clock=self.clock,
        )
        knowledge = Knowledge(
            cache=cache,
            requests=requests,
            waiters=waiters,
            clock=self.clock,
            rules=Rules,
        )
        return process, knowledge

    def worker(self) -> tuple[Process, Dispatch, Reconciler]:
        process = Process()
        queue = process.calls(lambda: self.queue)
        ledger = Ledger(
            store=process.calls(lambda: self.redis.store),
            sealer=self.sealer,
            unsealer=self.sealer,
            clock=self.clock,
        )
        pointing = Pointing(
            resolver=process.calls(Registry), ledger=ledger, rules=Rules, clock=self.clock
        )
        follower = Follower(queue=queue, pause=0)
        claims = process.calls(lambda: self.redis.claims)
        scanner = process.calls(lambda: self.anchore)
        budget = PollBudget(
            polls=process.calls(lambda: self.redis.polls),
            rate=1e6,
            clock=self.clock,
            pause=functools.partial(self.pause, process),
            on_poll=self.polled,
        )
        scan = Scan(
            scanner=scanner,
            pointing=pointing,
            judging=Judging(scanner=scanner, ledger=ledger, clock=self.clock),
            claims=claims,
            leases=process.calls(lambda: self.redis.leases),
            follow=follower.follow,
            budget=budget,
            quick=QuickLooks(
                budget=budget,
                clock=self.clock,
                pause=functools.partial(self.pause, process),
                places={Lane.CHECK: 2, Lane.CHECK_PREWARM: 1},
            ),
            clock=self.clock,
        )
        reconciler = Reconciler(claims=claims, queue=queue, clock=self.clock)
        return process, Dispatch(scan=scan, follower=follower), reconciler

    async def pause(self, process: Process, seconds: float) -> bool:
        """Between two quick looks; now and then the process is to stop."""
        await process.stand()
        self.clock.advance(round(1000 * seconds))
        return self.dice.random() < 0.9

    def polled(self, poll: Poll) -> None:
        self.polls[poll] += 1

    # What can happen.

    async def settle_loop(self) -> None:
        """Let whatever runs run until it stands at a call of a port."""
        for _ in range(12):
            await asyncio.sleep(0)
        held = await self.redis.store.read([VERDICT])
        if held[0] is not None:
            order = int(held[0][:16])
            if not self.orders or self.orders[-1] != order:
                self.orders.append(order)

    def ask(self) -> None:
        process, knowledge = self.dice.choice(self.webhooks)
        if len(process.tasks) < 3:
            process.run(self._asked(knowledge))

    def operator(self) -> None:
        """A scan although the verdict is young, as an operator has it."""
        number = self.dice.randrange(10**9)
        now = self.clock.now()
        step = Step(
            id=f"operator-{number}",
            kind=StepKind.REQUEST,
            lane=Lane.ADMISSION,
            reference=str(REFERENCE),
            question=QUESTION,
            first_seen=now,
            why=Why.OPERATOR,
        )
        self.queue.messages.append(Message(step, now))

    async def _asked(self, knowledge: Knowledge) -> None:
        lane = self.dice.choice((Lane.ADMISSION, Lane.ADMISSION, Lane.PREWARM))
        patience = Patience(until=self.clock.monotonic(), waits=False, lane=lane)
        judgement = await knowledge.learn(IMAGE, patience)
        self.answers.append(judgement.state)

    def deliver(self) -> None:
        ready = self.queue.ready()
        process, dispatch, _ = self.dice.choice(self.workers)
        if ready and len(process.tasks) < 4:
            message = self.dice.choice(ready)
            message.holder = process
            process.run(self._delivered(dispatch, message))

    async def _delivered(self, dispatch: Dispatch, message: Message) -> None:
        assert await dispatch.handle(message.step) is Settle.ACK
        # From the confirm of the follow-up to the acknowledgement it can be killed once more.
        assert message.holder is not None
        await message.holder.stand()
        if message in self.queue.messages:
            self.queue.messages.remove(message)

    def reconcile(self) -> None:
        process, _, reconciler = self.dice.choice(self.workers)
        if len(process.tasks) < 4:
            process.run(reconciler.once())

    def go_on(self) -> bool:
        standing = [process for process in self.processes() if process.at]
        if not standing:
            return False
        process = self.dice.choice(standing)
        process.at.pop(self.dice.randrange(len(process.at))).set_result(None)
        return True

    def processes(self) -> list[Process]:
        return [one[0] for one in self.webhooks] + [one[0] for one in self.workers]

    def fail(self, fault: Fault) -> None:
        if fault in (Fault.PUBLISH_LOST, Fault.CONFIRM_LOST):
            self.queue.lose.append(fault is Fault.CONFIRM_LOST)
        elif fault is Fault.WEBHOOK_KILLED:
            number = self.dice.randrange(2)
            self.webhooks[number][0].kill()
            self.webhooks[number] = self.webhook()
        elif fault is Fault.EMPTIED:
            self.redis.empty()
        elif fault is Fault.ANCHORE_AWAY:
            self.anchore.away_until = self.clock.now() + self.dice.choice((500, 3_000, 20_000))
        else:
            # Rather one that has something in hand.
            self.workers.sort(key=lambda worker: len(worker[0].tasks))
            struck = self.workers[-1][0]
            if fault is Fault.WORKER_KILLED:
                struck.kill()
                self.workers[-1] = self.worker()
            for message in self.queue.messages:
                if message.holder is struck:
                    message.holder = None

    # How a history goes.

    async def live(self, moves: int, *, once: bool = False) -> None:
        """Random moves, with the faults among them; `once`: nobody asks but at the beginning."""
        self.ask()
        # Half of them early, where the request is on its way.
        faults = {
            self.dice.randrange(3, self.dice.choice((30, moves))): fault for fault in self.faults
        }
        for move in range(moves):
            await self.settle_loop()
            if move in faults:
                self.fail(faults[move])
            kind = self.dice.random()
            if kind < 0.70:
                if not self.go_on():
                    self.deliver()
            elif kind < 0.85:
                self.deliver()
            elif kind < 0.90 and not once:
                self.ask()
            elif kind < 0.92 and not once:
                self.operator()
            elif kind < 0.94:
                self.reconcile()
            else:
                self.clock.advance(self.dice.choice((50, 200, 1_000)))
        self.queue.lose.clear()

    async def finish_standing(self) -> None:
        """Without faults, until nothing stands and nothing is ready."""
        await self.settle_loop()
        while True:
            self.deliver()
            await self.settle_loop()
            if not self.go_on() and not self.queue.ready():
                return
            await self.settle_loop()

    async def pass_time(self, milliseconds: int, *, asking: bool) -> None:
        """Seconds without faults, with a look of each webhook's now and then."""
        for second in range(milliseconds // 1000):
            self.clock.advance(1_000)
            if second % 5 == 0:
                self.reconcile()
                if asking:
                    self.ask()
            await self.finish_standing()

    async def verdict(self) -> Verdict | None:
        ledger = Ledger(
            store=self.redis.store, sealer=self.sealer, unsealer=self.sealer, clock=self.clock
        )
        return await ledger.verdict(SUBJECT, QUESTION)

    def in_flight(self, kind: StepKind) -> list[Step]:
        return [one.step for one in self.queue.messages if one.step.kind is kind]

    async def end(self) -> None:
        for process in self.processes():
            process.kill()
        await self.settle_loop()


def faults_of(seed: int) -> list[Fault]:
    """None, one, two or three, whichever."""
    return random.Random(seed).choices(list(Fault), k=seed % 4)


@pytest.mark.parametrize("seed", SEEDS)
async def test_whoever_asks_gets_the_newest_verdict_and_few_submits(seed: int) -> None:
    world = World(seed, faults=faults_of(seed))
    await world.live(MOVES)
    elapsed = 0
    while await world.verdict() is None:
        assert elapsed <= KNOWN_WITHIN, "L1: it stays pending while somebody asks"
        await world.pass_time(5_000, asking=True)
        elapsed += 5_000
    await world.pass_time(10_000, asking=True)
    world.answers.clear()
    await world.pass_time(20_000, asking=True)
    assert set(world.answers) == {State.PASS}
    twice = sum(fault not in KILLS for fault in world.faults)
    assert 1 <= world.anchore.submits <= 1 + twice, "L3"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_was_asked_for_once_is_judged_though_nobody_asks_again(seed: int) -> None:
    faults = [fault for fault in faults_of(seed) if fault is not Fault.WEBHOOK_KILLED]
    if Fault.PUBLISH_LOST in faults:
        faults = [fault for fault in faults if fault is not Fault.EMPTIED]
    world = World(seed, faults=faults)
    await world.live(MOVES, once=True)
    await world.pass_time(KNOWN_WITHIN, asking=False)
    assert world.orders, "L1: it was never judged"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_older_evaluation_never_overwrites_a_newer_one(seed: int) -> None:
    world = World(seed, faults=[Fault.RECONNECTED] * 8, analysis=0)
    for _ in range(4):
        world.operator()
    await world.live(MOVES)
    await world.finish_standing()
    assert world.orders == sorted(world.orders), "S2"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_chain_of_checks_survives_and_messages_stay_few(seed: int) -> None:
    world = World(seed, faults=faults_of(seed), analysis=3_600_000)
    await world.live(MOVES)
    await world.pass_time(90_000, asking=True)
    checks = world.in_flight(StepKind.CHECK)
    assert len({step.chain for step in checks}) == 1, "S3"
    assert len(world.queue.messages) <= MESSAGES * max(len(world.faults), 1)
    await world.end()


async def test_the_histories_hold_quick_looks_and_refused_ones() -> None:
    polls: Counter[Poll] = Counter()
    refused = 0
    for seed in range(10):
        world = World(seed, faults=[Fault.ANCHORE_AWAY])
        await world.live(MOVES)
        await world.pass_time(30_000, asking=True)
        polls += world.polls
        refused += world.anchore.refused
        await world.end()
    assert polls[Poll.QUICK] > 10
    assert refused > 10
