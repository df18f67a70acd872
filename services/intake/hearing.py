"""What a notice of Anchore's costs: somebody is asked to look, once in a while.

An analysis that is over becomes wake steps, which look at a scan that is under way and at nothing
else. A verdict that may be another one now becomes requests on prewarm's lane, which judge anew
what was judged before. Both are bounded here, whatever is sent: what is over that is looked at in
its turn, as without notices.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence

import msgspec

from services.intake.allowed import Allowed
from services.intake.asking import WORST_FIRST, Asking
from services.intake.notices import Heard, Kind, Notice
from services.intake.pace import Pace
from services.intake.pushes import Taken, event_key
from services.intake.replays import Replays
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.clock import Clock

WITHIN = 1.0
"""Seconds that Anchore waits at most: Engine gives up after 2."""

WAKE_EVERY = 10.0
REFRESH_EVERY = 60.0
"""Seconds in which one image is looked at once for each question, however often it is told of."""

WAKES, WAKES_AT_ONCE = 50.0, 200
REFRESHES, REFRESHES_AT_ONCE = 5.0, 50
"""Steps a second, and at once after a quiet time. A feed that changes is a notice of each image."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a notice."""

    heard: Heard
    troubles: dict[str, str] = {}
    """What was away (`store`, `queue`) or too slow (`deadline`), as it was said."""


class Hearing:
    """Has somebody look at the images that notices are about."""

    def __init__(
        self,
        *,
        asking: Asking,
        clock: Clock,
        rules: Callable[[], Rules],
        allowed: Allowed,
        scanner: str,
        account: str,
        within: float = WITHIN,
    ) -> None:
        """`account`: Anchore's, that is meant where a rule names none."""
        self._asking = asking
        self._clock = clock
        self._rules = rules
        self._allowed = allowed
        self._scanner = scanner
        self._account = account
        self._within = within
        self._wakes = _Bound(clock, every=WAKE_EVERY, rate=WAKES, burst=WAKES_AT_ONCE)
        self._refreshes = _Bound(
            clock, every=REFRESH_EVERY, rate=REFRESHES, burst=REFRESHES_AT_ONCE
        )

    async def hear(self, notice: Notice) -> Outcome:
        """Ask for what it is worth; never raises for a dead store or queue, and never takes longer
        than `within`."""
        if notice.reference not in self._allowed:
            return Outcome(Heard.NOT_ALLOWED)
        questions = self._rules().questions(notice.reference, scanner=self._scanner)
        if not questions:
            return Outcome(Heard.UNASKED)
        asked = [each for each in questions if (each.account or self._account) == notice.account]
        if not asked:
            return Outcome(Heard.OTHER_ACCOUNT)
        bound = self._wakes if notice.kind is Kind.ANALYSIS else self._refreshes
        steps = bound.new([self._step(notice, question) for question in asked])
        if not steps:
            return Outcome(Heard.REPEATED)
        if not bound.pace.take(len(steps)):
            return Outcome(Heard.OVER)
        return await self._ask(steps, bound)

    async def _ask(self, steps: Sequence[Step], bound: "_Bound") -> Outcome:
        fates = {step.id: Taken.AWAY for step in steps}
        troubles: dict[str, str] = {}
        # Before anything is waited for: the same notice may come several times at once.
        bound.remember(steps)
        try:
            async with asyncio.timeout(self._within), asyncio.TaskGroup() as group:
                for step in steps:
                    asking = self._asking.ask(step, fates, troubles)
                    group.create_task(asking, name=f"notice {step.reference}")
        except TimeoutError:
            troubles["deadline"] = f"not done within {self._within:g} s"
        finally:
            bound.forget([step for step in steps if fates[step.id] is Taken.AWAY])
        worst = min(fates.values(), key=WORST_FIRST.index)
        return Outcome(Heard.of(worst), troubles)

    def _step(self, notice: Notice, question: Question) -> Step:
        now = self._clock.now()
        if notice.kind is Kind.ANALYSIS:
            return Step(
                id=uuid.uuid4().hex,
                kind=StepKind.WAKE,
                lane=Lane.CHECK,
                reference=str(notice.reference),
                question=question,
                first_seen=now,
                subject=notice.subject,
            )
        return Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.PREWARM,
            reference=str(notice.reference),
            question=question,
            first_seen=now,
            why=Why.NOTICE,
            claim=_claim(notice, question),
        )


class _Bound:
    """Which steps are not asked for, of those that notices want."""

    def __init__(self, clock: Clock, *, every: float, rate: float, burst: int) -> None:
        self.pace = Pace(clock=clock, rate=rate, burst=burst)
        self._asked = Replays(clock=clock, life=every)

    def new(self, steps: Sequence[Step]) -> list[Step]:
        """Those that were not asked for a moment ago."""
        return [step for step in steps if not self._asked.seen(_key(step))]

    def remember(self, steps: Sequence[Step]) -> None:
        """They are asked for now."""
        for step in steps:
            self._asked.remember(_key(step))

    def forget(self, steps: Sequence[Step]) -> None:
        """They are not: who sends the notice again may ask again."""
        for step in steps:
            self._asked.forget(_key(step))


def _claim(notice: Notice, question: Question) -> str:
    """One of its own: a request for the same that finds a fresh verdict ends, a notice's does
    not, and one that finds none does the other way round."""
    return f"notice:{request_claim(StepKind.REQUEST, notice.reference, question)}"


def _key(step: Step) -> bytes:
    return event_key(step.reference, step.question.label)
