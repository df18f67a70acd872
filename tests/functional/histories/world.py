"""A whole imagegate of two webhooks and two workers, and the dice that say what happens next.

Every call of a port stops before and after its effect until the world lets it go on, in random
order; a kill ends all that a process has in hand at whatever call it stands, and its deliveries
come again. One seed, one history.
"""

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from services.webhook.knowledge import Knowledge, Patience
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.waiters import Waiters
from services.worker.budget import Poll, PollBudget
from services.worker.dispatch import Dispatch, Follower
from services.worker.judging import Judging
from services.worker.ledger import Ledger
from services.worker.looking import AnalysisLimits
from services.worker.pointing import Pointing
from services.worker.quick import QuickLooks
from services.worker.reconcile import Reconciler
from services.worker.scan import Scan
from shared.domain.decision import State
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Verdict, scan_key
from shared.domain.why import Why
from shared.ports.steps import Settle
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer
from tests.functional.histories.outside import (
    MOST_MESSAGES,
    QUESTION,
    Anchore,
    Known,
    Message,
    Queue,
    Redis,
    Registry,
)
from tests.functional.histories.processes import Process

MOVES = 350
ANALYSIS = 4_000
"""Milliseconds."""
PLACES = 2
"""Analyses that prewarm may have outstanding."""
RUNNING = 120.0
"""Seconds that an analysis may run."""
TENANTS = ("a", "b")


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

    def __init__(
        self,
        seed: int,
        *,
        faults: Sequence[Fault],
        analysis: int = ANALYSIS,
        images: int = 1,
        dies: int = 0,
    ) -> None:
        """`dies`: under how many analyses the analyzer does."""
        self.dice = random.Random(seed)
        self.faults = faults
        self.clock = FakeClock()
        self.images = [Known(number) for number in range(images)]
        self.redis = Redis(self.clock)
        self.queue = Queue(self.clock, most=images * MOST_MESSAGES)
        self.anchore = Anchore(self.clock, analysis=analysis, dies=dies)
        self.registry = Registry(self.images)
        self.sealer = PlainSealer()
        self.polls: Counter[Poll] = Counter()
        self.webhooks = [self.webhook(), self.webhook()]
        self.workers = [self.worker(), self.worker()]
        self.answers: list[State] = []
        self.unjudged: list[str] = []
        """Digests that were let run before anybody had found them good."""
        self.orders: dict[Known, list[int]] = {image: [] for image in self.images}
        """Of each image the times of its verdicts, as they were put."""
        self.woken = 0
        """Wakes of scans under way whose analysis was over."""
        self.most_outstanding = 0
        """Analyses at a time."""

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
            resolver=process.calls(lambda: self.registry),
            ledger=ledger,
            rules=Rules,
            clock=self.clock,
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
            judging=Judging(scanner=scanner, pointing=pointing, ledger=ledger, clock=self.clock),
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
            limits=AnalysisLimits(running=RUNNING),
            places=PLACES,
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
        self.most_outstanding = max(self.most_outstanding, self.anchore.outstanding)
        held = await self.redis.store.read([image.verdict for image in self.images])
        for record, orders in zip(held, self.orders.values(), strict=True):
            if record is not None and orders[-1:] != [int(record[:16])]:
                orders.append(int(record[:16]))

    def ask(self, lane: Lane | None = None) -> None:
        """A review; of a pod or, in prewarm's lane, of a workload."""
        process, knowledge = self.dice.choice(self.webhooks)
        if len(process.tasks) < 3:
            lanes = (Lane.ADMISSION, Lane.ADMISSION, Lane.PREWARM)
            process.run(self._asked(knowledge, lane or self.dice.choice(lanes)))

    def push(self, image: Known) -> None:
        """A registry has one."""
        step = self._request(f"push-{image.number}", image, Why.PREWARM, Lane.PREWARM)
        self.queue.messages.append(Message(step, self.clock.now()))

    def wake(self) -> None:
        """Somebody says that an analysis is over, who may be wrong."""
        image = self.dice.choice(self.images)
        step = Step(
            id=f"wake-{self.dice.randrange(10**9)}",
            kind=StepKind.WAKE,
            lane=Lane.CHECK,
            reference=str(image.reference),
            question=QUESTION,
            first_seen=self.clock.now(),
            subject=image.subject,
        )
        self.queue.messages.append(Message(step, self.clock.now()))

    def operator(self) -> None:
        """A scan although the verdict is young, as an operator has it."""
        image = self.dice.choice(self.images)
        number = self.dice.randrange(10**9)
        step = self._request(f"operator-{number}", image, Why.OPERATOR, Lane.ADMISSION)
        self.queue.messages.append(Message(step, self.clock.now()))

    def _request(self, name: str, image: Known, why: Why, lane: Lane) -> Step:
        return Step(
            id=name,
            kind=StepKind.REQUEST,
            lane=lane,
            reference=str(image.reference),
            question=QUESTION,
            first_seen=self.clock.now(),
            why=why,
        )

    async def _asked(self, knowledge: Knowledge, lane: Lane) -> None:
        patience = Patience(
            until=self.clock.monotonic(),
            waits=False,
            lane=lane,
            tenant=self.dice.choice(TENANTS),
        )
        image = self.dice.choice(self.images).image
        judgement = await knowledge.learn(image, patience)
        self.answers.append(judgement.state)
        if judgement.state is State.PASS and judgement.digest not in self.anchore.passed:
            self.unjudged.append(judgement.digest)

    def deliver(self) -> None:
        ready = self.queue.ready()
        process, dispatch, _ = self.dice.choice(self.workers)
        if ready and len(process.tasks) < 4:
            message = self.dice.choice(ready)
            message.holder = process
            process.run(self._delivered(dispatch, message))

    async def _delivered(self, dispatch: Dispatch, message: Message) -> None:
        self.woken += await self._wakes(message.step)
        assert await dispatch.handle(message.step) is Settle.ACK
        # From the confirm of the follow-up to the acknowledgement it can be killed once more.
        assert message.holder is not None
        await message.holder.stand()
        if message in self.queue.messages:
            self.queue.messages.remove(message)

    async def _wakes(self, step: Step) -> bool:
        if step.kind is not StepKind.WAKE or step.subject is None:
            return False
        holder = await self.redis.leases.holder(scan_key(step.subject, step.question))
        return holder is not None and self.anchore.is_done(step.subject.digest)

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
        if not self.queue.messages:
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
            elif kind < 0.95:
                self.wake()
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

    async def pass_time(self, milliseconds: int, *, asking: bool, lane: Lane | None = None) -> None:
        """Seconds without faults, with a look of each webhook's now and then, in `lane`."""
        for second in range(milliseconds // 1000):
            self.clock.advance(1_000)
            if second % 5 == 0:
                self.reconcile()
                if asking:
                    self.ask(lane)
            await self.finish_standing()

    async def verdict(self, number: int = 0) -> Verdict | None:
        ledger = Ledger(
            store=self.redis.store, sealer=self.sealer, unsealer=self.sealer, clock=self.clock
        )
        return await ledger.verdict(self.images[number].subject, QUESTION)

    def in_flight(self, kind: StepKind) -> list[Step]:
        return [one.step for one in self.queue.messages if one.step.kind is kind]

    async def end(self) -> None:
        for process in self.processes():
            process.kill()
        await self.settle_loop()
