"""Handing images to the scanner, each once however many scans want it analysed.

Two questions of one account are two scans of one analysis. In this process one of them submits and
the other sees what came of it. Between processes the state is asked right before: two that ask in
the same moment submit twice, which costs a call and no second analysis, since repeating a submit is
safe; two that force in it analyse twice.
"""

import asyncio
import logging
from weakref import WeakValueDictionary

from services.worker.pointing import Pointing
from shared.domain.errors import StepFailure
from shared.domain.latest import Latest
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question, Subject
from shared.domain.why import Why
from shared.ports.clock import Clock
from shared.ports.scanner import Analysed, Analysis, Scanner

log = logging.getLogger(__name__)

FORCED = (Analysis.RUNNING, Analysis.DONE, Analysis.FAILED)
"""States in which force begins an analysis anew: what waits for an analyzer is going to be."""

FORCED_AGAIN = 60.0
"""Seconds in which this process forces no second analysis of one image, whoever asks for it."""

MAX_FORCED = 1_000
"""Images that are remembered as forced."""


class Submits:
    """Raises StepFailure."""

    def __init__(self, *, scanner: Scanner, pointing: Pointing, clock: Clock) -> None:
        self._scanner = scanner
        self._pointing = pointing
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # In the order of time.
        self._forced = Latest[str, float](MAX_FORCED)

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        seen: Analysis,
        force: bool = False,
        again: float = FORCED_AGAIN,
    ) -> Analysed:
        """Have it analysed if it is still as it was `seen`; else what it is now. What was forced
        less than `again` seconds ago is not forced.

        Its manifest is read whole before, which may take a while.
        """
        name = f"{subject.digest} {subject.scan_tag} {question.account}"
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            await self._pointing.read(subject)
            now = await self._scanner.analysis(subject, question)
            if now.state is not seen:
                return now
            if not force:
                return await self._scanner.submit(subject, question)
            if self._forced_lately(name, again):
                log.info("not forced: it was a moment ago", extra={"image": subject.scan_tag})
                return now
            return await self._begin_anew(subject, question, name)

    async def force(self, subject: Subject, question: Question) -> None:
        """Have it analysed anew, where there is something to do anew."""
        analysed = await self._scanner.analysis(subject, question)
        if analysed.state in FORCED:
            await self.submit(subject, question, seen=analysed.state, force=True)

    async def _begin_anew(self, subject: Subject, question: Question, name: str) -> Analysed:
        self._forced[name] = self._clock.monotonic()
        try:
            return await self._scanner.submit(subject, question, force=True)
        except StepFailure:
            # A submit that is cut off may have been heard, one that failed was not.
            del self._forced[name]
            raise

    def _forced_lately(self, name: str, again: float) -> bool:
        at = self._forced.get(name)
        return at is not None and self._clock.monotonic() < at + again


def may_force(step: Step) -> bool:
    """Who writes to the queue could force without end: so it is an operator's request, in the lane
    in which no more are analysed at a time than prewarm has places."""
    return (
        step.force
        and step.kind is StepKind.REQUEST
        and step.lane is Lane.PREWARM
        and step.why is Why.OPERATOR
    )
