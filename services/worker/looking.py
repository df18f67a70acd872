"""Looks of one step at one analysis: what its state means, and what is done about it.

The state is asked first; submitted is what is unknown, evaluated what is done. What fails, hangs or
waits too long is told apart (docs/design/anchore-engine.md 4).
"""

from collections.abc import Callable

import msgspec

from services.worker.chains import Chains
from services.worker.judging import Judging
from services.worker.scanning import Scanning
from services.worker.submitting import FORCED, FORCED_AGAIN, Submits, may_force
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.step import Step
from shared.ports.clock import Clock
from shared.ports.scanner import Analysed, Analysis, Scanner

OUTSTANDING = (Analysis.WAITING, Analysis.RUNNING)

OnTook = Callable[[Step, float], None]
"""Told of something that a scan waited for, and of how many seconds it took."""


class AnalysisLimits(msgspec.Struct, frozen=True):
    """Seconds after which an analysis is no longer waited for."""

    running: float = 3_600.0
    """That one runs: then it is begun anew, once, and then given up."""
    waiting: float = 86_400.0
    """That one waits for an analyzer: thousands may stand before it, and nothing is wrong."""


class Looking:
    """`scanning` is the scan as the last look left it. Each look raises StepFailure, StoreError and
    NoPlace."""

    def __init__(
        self,
        scanning: Scanning,
        *,
        scanner: Scanner,
        submits: Submits,
        chains: Chains,
        judging: Judging,
        clock: Clock,
        limits: AnalysisLimits,
        on_submit: OnTook,
        on_analysed: OnTook,
    ) -> None:
        self._first = not scanning.step.began
        self.scanning = scanning.after(began=scanning.step.began or clock.now())
        self._scanner = scanner
        self._submits = submits
        self._chains = chains
        self._judging = judging
        self._clock = clock
        self._limits = limits
        self._on_submit = on_submit
        self._on_analysed = on_analysed

    @property
    def age(self) -> float:
        """Seconds since the chain began; what waited for a worker before counts for nothing."""
        return self._since(self.scanning.step.began)

    async def look(self) -> bool:
        """Whether there is a verdict now."""
        first, self._first = self._first, False
        analysed = await self._analysed(first=first)
        if analysed.state is Analysis.DONE:
            await self._judge(analysed, first=first)
            return True
        if analysed.state is Analysis.FAILED:
            raise await self._failed()
        self._note(analysed.state)
        return False

    async def _analysed(self, *, first: bool) -> Analysed:
        """How far it is, after what there is to do about it."""
        step, subject = self.scanning.step, self.scanning.subject
        analysed = await self._scanner.analysis(subject, step.question)
        self.scanning = self.scanning.after(polls=step.polls + 1)
        state = analysed.state
        force = first and may_force(step) and state in FORCED
        if force or state is Analysis.UNKNOWN or (state is Analysis.FAILED and first):
            analysed = await self._submit(state, force=force)
            self._on_submit(step, self._since(step.first_seen))
            return analysed
        if self.scanning.adopted and self.scanning.hop and state in OUTSTANDING:
            await self._chains.count_in(self.scanning)
            self.scanning = msgspec.structs.replace(self.scanning, adopted=False)
        if state is Analysis.RUNNING and self._runs_too_long():
            return await self._begin_anew()
        return analysed

    async def _submit(
        self, seen: Analysis, *, force: bool = False, again: float = FORCED_AGAIN
    ) -> Analysed:
        step = self.scanning.step
        await self._chains.take_place(self.scanning)
        return await self._submits.submit(
            self.scanning.subject, step.question, seen=seen, force=force, again=again
        )

    async def _begin_anew(self) -> Analysed:
        """A scanner whose analyzer died leaves an analysis running for ever: only force ends it."""
        if self.scanning.step.freed:
            raise _given_up(
                f"its analysis ran for more than {self._limits.running:.0f} s, begun anew in vain: "
                "see the log of the scanner's analyzer, or raise IMAGEGATE_ANALYSIS_LIMIT"
            )
        # The message says since when it runs: no more of that is believed than can be.
        analysed = await self._submit(Analysis.RUNNING, force=True, again=self._limits.running)
        self.scanning = self.scanning.after(freed=True, running=0, began=self._clock.now())
        return analysed

    def _note(self, state: Analysis) -> None:
        """Since when it runs; raises PermanentFailure for one that nobody begins."""
        if state is Analysis.RUNNING:
            self.scanning = self.scanning.after(
                running=self.scanning.step.running or self._clock.now()
            )
            return
        self.scanning = self.scanning.after(running=0)
        if self.age > self._limits.waiting:
            raise _given_up(
                f"its analysis has not begun for {self.age:.0f} s: see whether the scanner's "
                "analyzers work, and how many images wait for them"
            )

    def _runs_too_long(self) -> bool:
        running = self.scanning.step.running
        return running > 0 and self._since(running) > self._limits.running

    async def _judge(self, analysed: Analysed, *, first: bool) -> None:
        scanning, took = self.scanning, self.age
        await self._judging.judge(
            scanning.step,
            scanning.subject,
            chain=scanning.chain,
            dockerfile=analysed.dockerfile,
        )
        if not first:
            self._on_analysed(scanning.step, took)

    async def _failed(self) -> PermanentFailure:
        scanning = self.scanning
        reason = await self._scanner.failure_reason(scanning.subject, scanning.step.question)
        return _given_up(f"the analysis failed: {reason or 'the scanner does not say why'}")

    def _since(self, time: int) -> float:
        return (self._clock.now() - time) / 1000


def _given_up(message: str) -> PermanentFailure:
    return PermanentFailure(message, kind=ErrorKind.ANALYSIS_FAILED)
