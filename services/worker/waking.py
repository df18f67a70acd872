"""Wake steps: somebody says that an analysis is over. A hint like any other: the scanner is asked.

It saves the wait for the chain's next check, and nothing rests on it. Who forges one has a record
of the store read, and where a scan is under way one look more, within the polling budget.
"""

import asyncio
import logging

import msgspec

from services.worker.advancing import SCANNER_BUDGET
from services.worker.budget import PollBudget
from services.worker.chains import Chains
from services.worker.judging import Judging
from services.worker.pointing import Pointing
from shared.domain.errors import StepFailure, StoreError
from shared.domain.latest import Latest
from shared.domain.step import Lane, Step
from shared.domain.verdict import Subject, scan_key
from shared.domain.why import Why
from shared.ports.claims import Holder
from shared.ports.clock import Clock
from shared.ports.scanner import Analysis, Scanner

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds in which this process looks no second time for a wake."""

MAX_WOKEN = 1_000
"""Scans that are remembered as woken."""


class Waking:
    """Raises nothing: what fails here, the chain does in its time."""

    def __init__(
        self,
        *,
        scanner: Scanner,
        pointing: Pointing,
        judging: Judging,
        chains: Chains,
        budget: PollBudget,
        clock: Clock,
    ) -> None:
        self._scanner = scanner
        self._pointing = pointing
        self._judging = judging
        self._chains = chains
        self._budget = budget
        self._clock = clock
        # In the order of time.
        self._woken = Latest[str, float](MAX_WOKEN)

    async def wake(self, step: Step) -> None:
        """Judge what is analysed for the chain that waits for it. Whatever else has become of it
        is the chain's business."""
        subject = step.subject
        if subject is None or not self._due(scan_key(subject, step.question)):
            return
        try:
            async with asyncio.timeout(SCANNER_BUDGET):
                await self._look(step, subject)
        except (StepFailure, StoreError, TimeoutError) as error:
            log.info("woken in vain, the scan goes on by itself: %s", error)

    async def _look(self, step: Step, subject: Subject) -> None:
        holder = await self._chains.holder(step, subject)
        if holder is None or not await self._pointing.named(subject):
            return
        if await self._budget.take(holder.lane):
            return  # no turn: the chain looks by itself, in its time
        analysed = await self._scanner.analysis(subject, step.question)
        if analysed.state is Analysis.DONE:
            await self._judging.judge(
                _as_wanted(step, holder),
                subject,
                chain=holder.chain,
                dockerfile=analysed.dockerfile,
            )

    def _due(self, key: str) -> bool:
        now = self._clock.monotonic()
        if now < self._woken.get(key, -AGAIN) + AGAIN:
            return False
        self._woken[key] = now
        return True


def _as_wanted(step: Step, holder: Holder) -> Step:
    """Verdicts tell who wanted them and since when: the wake's sender did not."""
    why = Why.ADMISSION if holder.lane is Lane.CHECK else Why.PREWARM
    return msgspec.structs.replace(step, first_seen=holder.first_seen, why=why)
