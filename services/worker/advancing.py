"""Carrying a scan as far as the scanner lets it: a verdict, its failure, or the next check."""

import asyncio

from services.worker.budget import PollBudget
from services.worker.chains import Chains, NoPlace
from services.worker.judging import Judging
from services.worker.looking import AnalysisLimits, Looking, OnTook
from services.worker.quick import QuickLooks
from services.worker.scanning import Scanning
from services.worker.submitting import Submits
from shared.domain.errors import (
    NotAnImage,
    PermanentFailure,
    StepFailure,
    TakenForDown,
    TransientFailure,
)
from shared.domain.retry import fitting_delay, luck_of, poll_delay
from shared.domain.step import Step
from shared.domain.why import Why
from shared.ports.clock import Clock
from shared.ports.scanner import Scanner

SCANNER_BUDGET = 15.0
"""Seconds that the scanner has for one step: less than the step's own budget, so that a scanner
which hangs is written down too."""


class Advancing:
    """Raises TransientFailure and StoreError for another attempt, NotAnImage where nobody asked,
    and NoPlace with the record released."""

    def __init__(
        self,
        *,
        scanner: Scanner,
        submits: Submits,
        chains: Chains,
        judging: Judging,
        budget: PollBudget,
        quick: QuickLooks,
        clock: Clock,
        limits: AnalysisLimits,
        scanner_budget: float = SCANNER_BUDGET,
        on_submit: OnTook = lambda step, seconds: None,
        on_analysed: OnTook = lambda step, seconds: None,
    ) -> None:
        """`scanner_budget` (seconds): what the scanner has for one step."""
        self._scanner = scanner
        self._submits = submits
        self._chains = chains
        self._judging = judging
        self._budget = budget
        self._quick = quick
        self._clock = clock
        self._limits = limits
        self._scanner_budget = scanner_budget
        self._on_submit = on_submit
        self._on_analysed = on_analysed

    async def advance(self, scanning: Scanning) -> None:
        """Look, and again while that is quick; then judge, fail or publish the next check.

        A failure is written down for those who wait, and ends the scan record with it: whoever
        asks meanwhile need not wait for this chain's next attempt. A scanner that was not asked
        because it is taken for down is no failure: the chain goes on with its next check. Whoever
        asked after a failure began another chain: the one that failed last goes on, or what fails
        for an hour (an Anchore that is asked too often) would gather chains, and a dead letter of
        each.
        """
        if scanning.step.attempt and await self._tried_by_another(scanning):
            await self._chains.end(scanning)
            return
        looking = self._looking(scanning)
        try:
            async with asyncio.timeout(self._scanner_budget):
                over = await self._quick.looks(
                    looking.look, lane=scanning.step.lane, age=lambda: looking.age
                )
        except NoPlace:
            await self._chains.end(scanning)
            raise
        except TakenForDown as error:
            await self._sit_out(scanning, looking.scanning, error)
        except (StepFailure, TimeoutError) as error:
            await self._fail(scanning, error)
        else:
            if not over:
                await self._chains.go_on(looking.scanning, self._next_delay(looking))

    async def _tried_by_another(self, scanning: Scanning) -> bool:
        subject, question = scanning.subject, scanning.step.question
        return await self._judging.tried_by_another(subject, question, chain=scanning.chain)

    def _looking(self, scanning: Scanning) -> Looking:
        return Looking(
            scanning,
            scanner=self._scanner,
            submits=self._submits,
            chains=self._chains,
            judging=self._judging,
            clock=self._clock,
            limits=self._limits,
            on_submit=self._on_submit,
            on_analysed=self._analysed,
        )

    async def _sit_out(self, before: Scanning, now: Scanning, refused: TakenForDown) -> None:
        """An analysis is not the older for a time in which nobody could ask about it."""
        step = before.step
        await self._judging.fail(step, before.subject, refused.kind, str(refused), chain="")
        waited = (self._clock.now() - step.first_seen) / 1000
        delay = max(fitting_delay(refused.retry_after or 0), poll_delay(waited))
        began = step.began and now.step.began + 1000 * delay
        running = now.step.running and now.step.running + 1000 * delay
        waiting = now.after(began=began, running=running)
        await self._chains.go_on(waiting, delay, looked=False)

    async def _fail(self, scanning: Scanning, error: Exception) -> None:
        """End the chain with its failure; raises what another attempt may mend, and NotAnImage
        where nobody asked."""
        step = scanning.step
        failure = error if isinstance(error, StepFailure) else self._silent()
        if isinstance(failure, NotAnImage) and step.why is Why.PREWARM:
            await self._chains.end(scanning)
            raise failure
        await self._judging.fail(
            step, scanning.subject, failure.kind, str(failure), chain=scanning.chain
        )
        if not isinstance(failure, PermanentFailure):
            raise failure from error

    def _next_delay(self, looking: Looking) -> int:
        """Seconds: none while quick looks are worth it, and then what its age and the number of
        those under way make of it."""
        scanning = looking.scanning
        if self._quick.worth(scanning.lane, looking.age):
            return 0
        share = self._budget.share(scanning.lane)
        return poll_delay(looking.age, share=share, luck=luck_of(scanning.step.id))

    def _analysed(self, step: Step, seconds: float) -> None:
        self._quick.analyses.ended(seconds)
        self._on_analysed(step, seconds)

    def _silent(self) -> TransientFailure:
        return TransientFailure(
            f"the scanner did not answer in {self._scanner_budget:g} s: see whether it hangs"
        )
