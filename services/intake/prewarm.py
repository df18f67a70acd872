"""Asking for a scan before anybody wants the image.

The lane is prewarm's, so that people's images come first; and a review of the same image takes our
claim over and asks on the lane for people.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from services.intake.allowed import Allowed
from services.intake.asking import WORST_FIRST, Asking
from services.intake.pushes import Found, Ignored, Push, Taken, Tally
from services.intake.replays import Replays
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.clock import Clock

WITHIN = 0.4
"""Seconds that a sender waits at most: Distribution's sample configuration gives up after 0.5."""

AT_ONCE = 256
"""Steps of this process that are being asked for; more wait for their turn."""

_Fates = dict[str, Taken]
"""What became of the steps for one image, by their ids."""


class Prewarm:
    """Has the images of push events judged, by every question that the rules may ask about them."""

    def __init__(
        self,
        *,
        asking: Asking,
        clock: Clock,
        rules: Callable[[], Rules],
        allowed: Allowed,
        scanner: str,
        replays: Replays,
        within: float = WITHIN,
    ) -> None:
        self._asking = asking
        self._clock = clock
        self._rules = rules
        self._allowed = allowed
        self._scanner = scanner
        self._replays = replays
        self._within = within
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def take(self, found: Found) -> Tally:
        """Ask for what is new in one request, side by side; never raises for a dead store or
        queue, and never takes longer than `within`."""
        tally = Tally(taken=Counter(), ignored=Counter(found.ignored))
        wanted = self._wanted(found.pushes, tally)
        # What becomes of it counts from each step on, should the time end there.
        fates: dict[str, _Fates] = {key: {"": Taken.AWAY} for key in wanted}
        try:
            async with asyncio.timeout(self._within):
                await self._ask(wanted, fates, tally)
        except TimeoutError:
            tally.troubles["deadline"] = f"not done within {self._within:g} s"
        for key, fate in fates.items():
            self._count(key, wanted[key], fate, tally)
        return tally

    async def _ask(
        self, wanted: Mapping[str, Sequence[Push]], fates: dict[str, _Fates], tally: Tally
    ) -> None:
        """All of it, side by side."""
        async with asyncio.TaskGroup() as group:
            for key, pushes in wanted.items():
                # The last event says best what the tag names now.
                steps = self._steps(pushes[-1])
                fates[key] = {step.id: Taken.AWAY for step in steps}
                for step in steps:
                    # Before there is a task: thousands that wait for a turn fill the memory.
                    await self._turns.acquire()
                    asking = group.create_task(
                        self._asking.ask(step, fates[key], tally.troubles), name=f"prewarm {key}"
                    )
                    # Not a `finally` of the task: one that is cancelled before it ran has none.
                    asking.add_done_callback(lambda _: self._turns.release())

    def _count(self, key: str, pushes: Sequence[Push], fate: _Fates, tally: Tally) -> None:
        """One image counts once, however much is asked about it."""
        if not fate:
            tally.ignored[Ignored.UNASKED] += 1
            return
        taken = min(fate.values(), key=WORST_FIRST.index)
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
            if push.reference not in self._allowed:
                tally.ignored[Ignored.NOT_ALLOWED] += 1
            elif self._replays.seen(push.event):
                tally.taken[Taken.REPLAYED] += 1
            else:
                wanted.setdefault(str(push.reference), []).append(push)
        if repeated := sum(len(pushes) - 1 for pushes in wanted.values()):
            tally.ignored[Ignored.REPEATED] += repeated
        return wanted

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
