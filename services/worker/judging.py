"""From an analysis that is done to a verdict in the store, or to the error beside it."""

from collections.abc import Callable

import msgspec

from services.worker.ledger import Ledger
from shared.domain.errors import ErrorKind
from shared.domain.revision import revision_of
from shared.domain.rules import Requirement
from shared.domain.step import Step
from shared.domain.verdict import Outcome, Subject, Verdict, error_verdict, judge
from shared.ports.clock import Clock
from shared.ports.scanner import Scanner

OnVerdict = Callable[[Verdict, float], None]
"""Told of each verdict that was written, and the seconds since it was first wanted."""


class Judging:
    """Evaluates, and writes what came of it. Raises StepFailure and StoreError."""

    def __init__(
        self,
        *,
        scanner: Scanner,
        ledger: Ledger,
        clock: Clock,
        on_verdict: OnVerdict = lambda verdict, seconds: None,
    ) -> None:
        self._scanner = scanner
        self._ledger = ledger
        self._clock = clock
        self._on_verdict = on_verdict

    async def judge(self, step: Step, subject: Subject, *, chain: str) -> None:
        """Have the policy applied to what was analysed; the verdict ends the chain."""
        if step.question.requirement == Requirement.ANALYSIS:
            verdict = Verdict(
                subject=subject,
                question=step.question,
                outcome=Outcome.PASS,
                evaluated_at=self._clock.now(),
                scan_id=chain,
            )
        else:
            evaluation = await self._scanner.evaluate(subject, step.question)
            verdict = judge(subject, step.question, evaluation, scan_id=chain)
            await self._note_revision(verdict)
        await self._write(step, await self._turned(verdict), chain=chain)

    async def fail(
        self,
        step: Step,
        subject: Subject,
        kind: ErrorKind,
        message: str,
        *,
        chain: str,
    ) -> None:
        """Write down why it could not be judged, beside a verdict; a `chain` ends with it."""
        verdict = error_verdict(
            subject,
            step.question,
            kind=kind,
            message=message,
            now=self._clock.now(),
            scan_id=chain,
        )
        await self._write(step, verdict, chain=chain)

    async def still_good(self, step: Step, subject: Subject) -> bool:
        """Whether nothing need be asked again: there is a fresh verdict of today's policy."""
        verdict = await self._ledger.verdict(subject, step.question)
        if verdict is None or verdict.stale(self._clock.now()):
            return False
        revision = await self._ledger.revision(verdict.question)
        return revision is None or not revision.outdates(verdict)

    async def _write(self, step: Step, verdict: Verdict, *, chain: str) -> None:
        verdict = msgspec.structs.replace(verdict, why=step.why, beside=await self._beside(verdict))
        await self._ledger.write_verdict(verdict, chain=chain)
        self._on_verdict(verdict, (self._clock.now() - step.first_seen) / 1000)

    async def _beside(self, verdict: Verdict) -> bool:
        """Whether it is an error about what was judged before. Any other ends soon: whoever writes
        a pod can name digests without end, and none of them may cost memory for a day."""
        if verdict.outcome is not Outcome.ERROR:
            return False
        return await self._ledger.verdict(verdict.subject, verdict.question) is not None

    async def _note_revision(self, verdict: Verdict) -> None:
        """Write down which policy answered, when it is another than before or ends soon."""
        named = revision_of(verdict)
        if named is None or verdict.outcome is Outcome.ERROR:
            return
        before = await self._ledger.revision(verdict.question)
        if before is None or before.changes_to(named):
            await self._ledger.write_revision(named.after(before))

    async def _turned(self, verdict: Verdict) -> Verdict:
        """Remember when a fail replaced a pass."""
        if verdict.outcome is not Outcome.FAIL:
            return verdict
        before = await self._ledger.verdict(verdict.subject, verdict.question)
        if before is None:
            return verdict
        turned = verdict.evaluated_at if before.outcome is Outcome.PASS else before.turned_at
        return msgspec.structs.replace(verdict, turned_at=turned)
