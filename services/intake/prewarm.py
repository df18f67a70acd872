"""Asking for a scan before anybody wants the image: the request claim, then the queue.

The order of operations is the webhook's (docs/design/protocol.md). The lane is prewarm's, so that
people's images come first; and a review of the same image takes our claim over and asks on the
lane for people.
"""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from services.intake.pushes import Found, Ignored, Push, Taken, Tally
from services.intake.replays import Replays
from shared.domain.errors import QueueError, QueueUnconfirmed, StoreError
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.claims import Claim, RequestClaims
from shared.ports.clock import Clock
from shared.ports.steps import StepQueue

CLAIM_LIFE = 30_000
"""Milliseconds; the worker that begins the request deletes it sooner."""

WITHIN = 0.4
"""Seconds that a sender waits at most: Distribution's sample configuration gives up after 0.5."""

AT_ONCE = 256
"""Steps of this process that are being asked for; more wait for their turn."""

_WORST_FIRST = (Taken.AWAY, Taken.REMEMBERED, Taken.QUEUED, Taken.UNDER_WAY)
"""An image about which several questions are asked counts as the worst that befell one."""

_Fate = dict[str, Taken]
"""What became of the steps for one image, by their claims."""


class Prewarm:
    """Has the images of push events judged, by every question that the rules may ask about them."""

    def __init__(
        self,
        *,
        claims: RequestClaims,
        queue: StepQueue,
        clock: Clock,
        rules: Callable[[], Rules],
        scanner: str,
        replays: Replays,
        repositories: Sequence[ImagePattern] = (),
        within: float = WITHIN,
    ) -> None:
        """`repositories`: which images may be asked for; none: all that the rules allow."""
        self._claims = claims
        self._queue = queue
        self._clock = clock
        self._rules = rules
        self._scanner = scanner
        self._replays = replays
        self._repositories = tuple(repositories)
        self._within = within
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def take(self, found: Found) -> Tally:
        """Ask for what is new in one request, side by side; never raises for a dead store or
        queue, and never takes longer than `within`."""
        tally = Tally(taken=Counter(), ignored=Counter(found.ignored))
        wanted = self._wanted(found.pushes, tally)
        # What becomes of it counts from each step on, should the time end there.
        fates = {key: {"": Taken.AWAY} for key in wanted}
        try:
            async with asyncio.timeout(self._within):
                await self._ask(wanted, fates, tally)
        except TimeoutError:
            tally.troubles["deadline"] = f"not done within {self._within:g} s"
        for key, fate in fates.items():
            self._count(key, wanted[key], fate, tally)
        return tally

    async def _ask(
        self, wanted: Mapping[str, Sequence[Push]], fates: dict[str, _Fate], tally: Tally
    ) -> None:
        """All of it, side by side."""

        async def ask(step: Step, fate: _Fate) -> None:
            fate[step.claim] = await self._claim(step, tally)
            if fate[step.claim] is not Taken.UNDER_WAY:
                fate[step.claim] = await self._publish(step, fate[step.claim], tally)

        async with asyncio.TaskGroup() as group:
            for key, pushes in wanted.items():
                # The last event says best what the tag names now.
                steps = self._steps(pushes[-1])
                fates[key] = {step.claim: Taken.AWAY for step in steps}
                for step in steps:
                    # Before there is a task: thousands that wait for a turn fill the memory.
                    await self._turns.acquire()
                    asking = group.create_task(ask(step, fates[key]), name=f"prewarm {key}")
                    # Not a `finally` of the task: one that is cancelled before it ran has none.
                    asking.add_done_callback(lambda _: self._turns.release())

    def _count(self, key: str, pushes: Sequence[Push], fate: _Fate, tally: Tally) -> None:
        """One image counts once, however much is asked about it."""
        if not fate:
            tally.ignored[Ignored.UNASKED] += 1
            return
        taken = min(fate.values(), key=_WORST_FIRST.index)
        tally.taken[taken] += 1
        if taken is Taken.QUEUED:
            tally.images.append(key)
        if taken is not Taken.AWAY:
            for push in pushes:
                self._replays.remember(push.event)

    def _wanted(self, pushes: Sequence[Push], tally: Tally) -> dict[str, list[Push]]:
        """By reference, the events that want it."""
        wanted: dict[str, list[Push]] = {}
        for push in pushes:
            if not self._allows(push.reference):
                tally.ignored[Ignored.NOT_ALLOWED] += 1
            elif self._replays.seen(push.event):
                tally.taken[Taken.REPLAYED] += 1
            else:
                wanted.setdefault(str(push.reference), []).append(push)
        if repeated := sum(len(pushes) - 1 for pushes in wanted.values()):
            tally.ignored[Ignored.REPEATED] += repeated
        return wanted

    def _allows(self, reference: ImageReference) -> bool:
        if not self._rules().allows_registry(reference.host):
            return False
        return not self._repositories or any(
            pattern.matches(reference) for pattern in self._repositories
        )

    async def _claim(self, step: Step, tally: Tally) -> Taken:
        try:
            claim = await self._claims.claim(step.claim, step, life=CLAIM_LIFE)
        except StoreError as error:
            tally.troubles["store"] = str(error)
            return Taken.AWAY
        # With the claim the store remembers the step.
        return Taken.REMEMBERED if claim is Claim.TAKEN else Taken.UNDER_WAY

    async def _publish(self, step: Step, kept: Taken, tally: Tally) -> Taken:
        """Queue it; `kept` is what it stays where the queue does not take it."""
        try:
            await self._queue.publish(step)
        except QueueError as error:
            tally.troubles["queue"] = str(error)
            # Unconfirmed it may still arrive, and its claim ends by itself.
            if kept is Taken.REMEMBERED and not isinstance(error, QueueUnconfirmed):
                with contextlib.suppress(StoreError):
                    await self._claims.drop(step.claim)
            return kept
        return Taken.QUEUED

    def _steps(self, push: Push) -> list[Step]:
        """One for each question."""
        questions = self._rules().questions(push.reference, scanner=self._scanner)
        return [self._step(push, question) for question in questions]

    def _step(self, push: Push, question: Question) -> Step:
        return Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.PREWARM,
            reference=str(push.reference),
            question=question,
            first_seen=self._clock.now(),
            why=Why.PREWARM,
            claim=request_claim(StepKind.REQUEST, push.reference, question),
            announced=push.announced,
        )
