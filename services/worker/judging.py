"""From an analysis that is done to a verdict in the store, or to the error beside it."""

from collections.abc import Callable

import msgspec

from services.worker.freshness import Freshness
from services.worker.ledger import Ledger
from services.worker.pointing import Pointing
from services.worker.turned import OnAnew, following, tell
from shared.domain.errors import ErrorKind
from shared.domain.from_line import with_from_unchecked
from shared.domain.reference import parse_reference
from shared.domain.revision import revision_of
from shared.domain.rules import Requirement
from shared.domain.step import Step
from shared.domain.verdict import (
    Action,
    Evaluation,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    judge,
)
from shared.domain.why import Why
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
        pointing: Pointing,
        ledger: Ledger,
        clock: Clock,
        freshness: Freshness | None = None,
        on_verdict: OnVerdict = lambda verdict, seconds: None,
        on_judged: Callable[[Step], None] = lambda step: None,
        on_anew: OnAnew = lambda turn, anew: None,
        from_unchecked: Action = Action.WARN,
    ) -> None:
        """`freshness` is told how long evaluations take, and says for how long verdicts are fresh;
        None: as long as usual. `from_unchecked`: what the finding does that tells of a FROM line
        which nobody could judge. `on_judged` is told of each step that brought a verdict."""
        self._scanner = scanner
        self._pointing = pointing
        self._ledger = ledger
        self._clock = clock
        self._freshness = freshness
        self._on_verdict = on_verdict
        self._on_judged = on_judged
        self._on_anew = on_anew
        self._from_unchecked = from_unchecked

    async def judge(
        self, step: Step, subject: Subject, *, chain: str, dockerfile: bool | None = None
    ) -> None:
        """Have the policy applied to what was analysed; the verdict ends the chain. `dockerfile`:
        whether the analysis rests on the image's own (`Analysed`); None proves nothing either.

        Before its first verdict the manifest is read, whoever had it analysed and whoever has it
        judged (docs/adr/0032): what runs must be what was analysed.
        """
        before = await self._before(step, subject)
        if before is None:
            await self._pointing.read(subject)
        if step.question.requirement == Requirement.ANALYSIS:
            verdict = Verdict(
                subject=subject,
                question=step.question,
                outcome=Outcome.PASS,
                evaluated_at=self._clock.now(),
                scan_id=chain,
            )
        else:
            evaluation = await self._evaluated(subject, step.question)
            verdict = judge(subject, step.question, evaluation, scan_id=chain)
            if evaluation.asks_from and not dockerfile:
                verdict = with_from_unchecked(verdict, self._from_unchecked)
            await self._note_revision(verdict)
        verdict = following(before, verdict)
        if self._freshness is not None:
            verdict = await self._freshness.stretched(verdict)
        await self._write(step, verdict, chain=chain)
        self._on_judged(step)
        tell(self._on_anew, before, verdict)

    async def _before(self, step: Step, subject: Subject) -> Verdict | None:
        """What its next verdict follows: where its tag has moved on, the one that it had by it."""
        before = await self._ledger.verdict(subject, step.question)
        if before is not None or subject.tag is not None:
            return before
        tag = parse_reference(step.reference).tag
        if tag is None:
            return None
        by_tag = msgspec.structs.replace(subject, tag=tag)
        return await self._ledger.verdict(by_tag, step.question)

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
        """Whether nothing need be asked again: there is a fresh verdict of today's policy. Who
        wants it renewed before it is stale is answered by one that need not be renewed yet."""
        if step.why is Why.NOTICE:
            # What nobody had judged has not changed, and what was judged since is news already.
            before = await self._before(step, subject)
            return before is None or before.evaluated_at >= step.first_seen
        verdict = await self._ledger.verdict(subject, step.question)
        if verdict is None:
            return False
        good_until = verdict.renew_at if step.why is Why.REFRESH else verdict.stale_at
        if self._clock.now() >= good_until:
            return False
        return await self._is_of_today_s_policy(verdict)

    async def tried_by_another(self, subject: Subject, question: Question, *, chain: str) -> bool:
        """Whether it was another chain that failed with it last, a moment ago: that one tries it
        again, or was the last to."""
        error = await self._ledger.last_error(subject, question)
        if error is None or error.stale(self._clock.now()):
            return False
        return error.scan_id not in ("", chain)

    async def judged_since(self, time: int, subject: Subject, question: Question) -> bool:
        """Whether a fresh verdict of today's policy was made at `time` (ms) or later."""
        verdict = await self._ledger.verdict(subject, question)
        if verdict is None or verdict.evaluated_at < time or verdict.stale(self._clock.now()):
            return False
        return await self._is_of_today_s_policy(verdict)

    async def _is_of_today_s_policy(self, verdict: Verdict) -> bool:
        revision = await self._ledger.revision(verdict.question)
        return revision is None or not revision.outdates(verdict)

    async def _evaluated(self, subject: Subject, question: Question) -> Evaluation:
        began = self._clock.monotonic()
        evaluation = await self._scanner.evaluate(subject, question)
        if self._freshness is not None:
            self._freshness.evaluated(self._clock.monotonic() - began)
        return evaluation

    async def _write(self, step: Step, verdict: Verdict, *, chain: str) -> None:
        beside = await self._beside(step, verdict)
        verdict = msgspec.structs.replace(verdict, why=step.why, beside=beside)
        await self._ledger.write_verdict(verdict, chain=chain)
        self._on_verdict(verdict, (self._clock.now() - step.first_seen) / 1000)

    async def _beside(self, step: Step, verdict: Verdict) -> bool:
        """Whether it is an error about what was judged before. Any other ends soon: whoever writes
        a pod can name digests without end, and none of them may cost memory for long."""
        if verdict.outcome is not Outcome.ERROR:
            return False
        return await self._before(step, verdict.subject) is not None

    async def _note_revision(self, verdict: Verdict) -> None:
        """Write down which policy answered, when it is another than before or ends soon."""
        named = revision_of(verdict)
        if named is None or verdict.outcome is Outcome.ERROR:
            return
        before = await self._ledger.revision(verdict.question)
        if before is None or before.changes_to(named):
            await self._ledger.write_revision(named.after(before))
