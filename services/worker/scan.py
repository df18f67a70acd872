"""Scans as chains of short steps: request begins one, check steps carry it to a verdict.

The order of operations, and what breaks when it is changed, is docs/design/protocol.md.
A step does its part once and ends; what must wait is the follow-up's business.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from services.worker.budget import PollBudget
from services.worker.ledger import Ledger
from services.worker.pointing import Pointing
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.reference import parse_reference
from shared.domain.retry import MAX_POLL, poll_delay
from shared.domain.revision import revision_of
from shared.domain.rules import Requirement
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import (
    Outcome,
    Subject,
    Verdict,
    error_verdict,
    judge,
    scan_key,
    unresolved,
)
from shared.domain.why import Why
from shared.ports.claims import Hold, RequestClaims, ScanLeases
from shared.ports.clock import Clock
from shared.ports.scanner import Analysis, Scanner

log = logging.getLogger(__name__)

LEASE_LIFE = (MAX_POLL + 60) * 1000
"""Milliseconds: longer than the longest poll, the wait in a busy lane and a step's budget
together. A lost message blocks its image for as long. A retry that waits longer finds its record
gone and goes on (adoption), or another chain's and ends."""

SCANNER_BUDGET = 15.0
"""Seconds that the scanner has for one step: less than the step's own budget, so that a scanner
which hangs is written down too."""

TAG_LAG = 1
"""Seconds after which a registry is asked once more that announced a push and did not show it yet
(docs/adr/0009)."""

MAX_TOKEN_WAIT = 1.0
"""Seconds; a longer wait for the polling budget goes back to a delay queue, not to a slot."""

Follow = Callable[[Step, int], Awaitable[None]]
"""Publishes a follow-up after a delay in seconds, and returns once the broker confirmed it."""


class Scan:
    """The steps of a scan. Raises TransientFailure and StoreError for another attempt."""

    def __init__(
        self,
        *,
        scanner: Scanner,
        pointing: Pointing,
        ledger: Ledger,
        claims: RequestClaims,
        leases: ScanLeases,
        follow: Follow,
        budget: PollBudget,
        clock: Clock,
        analysis_limit: float = 3600.0,
        scanner_budget: float = SCANNER_BUDGET,
        on_verdict: Callable[[Verdict, float], None] = lambda verdict, seconds: None,
    ) -> None:
        """`analysis_limit` (seconds): longer than that no analysis is waited for;
        `scanner_budget` (seconds): what the scanner has for one step.

        `on_verdict` is told of each verdict and the seconds since it was first wanted.
        """
        self._scanner = scanner
        self._pointing = pointing
        self._ledger = ledger
        self._claims = claims
        self._leases = leases
        self._follow = follow
        self._budget = budget
        self._clock = clock
        self._analysis_limit = analysis_limit
        self._scanner_budget = scanner_budget
        self._on_verdict = on_verdict

    async def resolve(self, step: Step) -> None:
        """Ask the registry what the tag names now."""
        await self._claims.begin(step.claim)
        await self._pointing.point(parse_reference(step.reference))

    async def request(self, step: Step) -> None:
        """Begin the scans that the reference needs."""
        if step.claim:
            await self._claims.begin(step.claim)
        reference = parse_reference(step.reference)
        try:
            subjects = await self._pointing.subjects(reference)
        except StepFailure as error:
            await self._write_error(
                step, unresolved(reference), error.kind, str(error), chain=step.id
            )
            if isinstance(error, PermanentFailure):
                return
            raise
        if step.announced and await self._pointing.lags(reference, step.announced):
            await self._follow(msgspec.structs.replace(step, announced=""), TAG_LAG)
            return
        for subject in subjects:
            await self._begin(step, subject)

    async def check(self, step: Step) -> None:
        """One look at an analysis under way; a verdict, or the next check."""
        subject = step.subject
        if subject is None or not await self._hold(step, subject, step.chain, step.hop):
            return
        if not await self._budget.take(within=MAX_TOKEN_WAIT):
            await self._follow(self._next_check(step, subject, step.chain, step.hop), 1)
            return
        await self._advance(step, subject, step.chain, step.hop)

    async def _begin(self, step: Step, subject: Subject) -> None:
        if not await self._hold(step, subject, step.id, 0):
            return
        if step.why is not Why.OPERATOR:
            known = await self._ledger.verdict(subject, step.question)
            if known is not None and await self._still_good(known):
                await self._leases.release(scan_key(subject, step.question), chain=step.id)
                return
        await self._advance(step, subject, step.id, 0)

    async def _advance(self, step: Step, subject: Subject, chain: str, hop: int) -> None:
        """Ask for the state first, submit only what is unknown, evaluate what is done.

        A failure is written down for those who wait, and ends the scan record with it: whoever
        asks meanwhile need not wait for this chain's next attempt.
        """
        step = msgspec.structs.replace(step, began=step.began or self._clock.now())
        try:
            async with asyncio.timeout(self._scanner_budget):
                done = await self._look(step, subject, chain, hop)
        except (StepFailure, TimeoutError) as error:
            failure = error if isinstance(error, StepFailure) else self._silent()
            await self._write_error(step, subject, failure.kind, str(failure), chain=chain)
            if isinstance(failure, PermanentFailure):
                return
            raise failure from error
        if not done:
            await self._follow(
                self._next_check(step, subject, chain, hop), poll_delay(self._age(step))
            )

    async def _look(self, step: Step, subject: Subject, chain: str, hop: int) -> bool:
        """Whether there is a verdict now; raises StepFailure."""
        state = await self._scanner.analysis(subject, step.question)
        if state is Analysis.UNKNOWN or (state is Analysis.FAILED and hop == 0):
            await self._pointing.read(subject)
            state = await self._scanner.submit(subject, step.question)
        if state is Analysis.DONE:
            await self._finish(step, subject, chain)
            return True
        if state is Analysis.FAILED:
            reason = await self._scanner.failure_reason(subject, step.question)
            message = f"the analysis failed: {reason or 'the scanner does not say why'}"
            raise PermanentFailure(message, kind=ErrorKind.ANALYSIS_FAILED)
        age = self._age(step)
        if age > self._analysis_limit:
            message = f"no analysis after {age:.0f} s: see whether the scanner's analyzers work"
            raise PermanentFailure(message, kind=ErrorKind.ANALYSIS_FAILED)
        return False

    def _age(self, step: Step) -> float:
        """Seconds since its chain began; what waited for a worker before counts for nothing."""
        return (self._clock.now() - step.began) / 1000

    def _silent(self) -> TransientFailure:
        return TransientFailure(
            f"the scanner did not answer in {self._scanner_budget:g} s: see whether it hangs"
        )

    def _next_check(self, step: Step, subject: Subject, chain: str, hop: int) -> Step:
        return msgspec.structs.replace(
            step,
            id=f"{chain}.{subject.digest[7:19]}.{hop + 1}",
            kind=StepKind.CHECK,
            lane=_check_lane(step),
            subject=subject,
            chain=chain,
            hop=hop + 1,
            claim="",
            announced="",
            attempt=0,
            history=(),
        )

    async def _finish(self, step: Step, subject: Subject, chain: str) -> None:
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
        await self._ledger.write_verdict(await self._turned(verdict), chain=chain)
        self._on_verdict(verdict, (self._clock.now() - step.first_seen) / 1000)

    async def _still_good(self, verdict: Verdict) -> bool:
        """Whether nothing need be asked again: it is fresh, and made by today's policy."""
        if verdict.stale(self._clock.now()):
            return False
        revision = await self._ledger.revision(verdict.question)
        return revision is None or not revision.outdates(verdict)

    async def _note_revision(self, verdict: Verdict) -> None:
        """Write down which policy answered, when it is another than before or ends soon."""
        named = revision_of(verdict)
        if named is None or verdict.outcome is Outcome.ERROR:
            return
        before = await self._ledger.revision(verdict.question)
        if before is None or before.changes_to(named):
            await self._ledger.write_revision(named)

    async def _turned(self, verdict: Verdict) -> Verdict:
        """Remember when a fail replaced a pass."""
        if verdict.outcome is not Outcome.FAIL:
            return verdict
        before = await self._ledger.verdict(verdict.subject, verdict.question)
        if before is None:
            return verdict
        turned = verdict.evaluated_at if before.outcome is Outcome.PASS else before.turned_at
        return msgspec.structs.replace(verdict, turned_at=turned)

    async def _hold(self, step: Step, subject: Subject, chain: str, hop: int) -> bool:
        hold = await self._leases.hold(
            scan_key(subject, step.question),
            chain=chain,
            hop=hop,
            life=LEASE_LIFE,
            lane=_check_lane(step),
            first_seen=step.first_seen,
        )
        if hold is not Hold.HELD:
            log.debug("step %s ends: the scan is %s", step.id, hold)
        return hold is Hold.HELD

    async def _write_error(
        self, step: Step, subject: Subject, kind: ErrorKind, message: str, *, chain: str
    ) -> None:
        verdict = error_verdict(
            subject,
            step.question,
            kind=kind,
            message=message,
            now=self._clock.now(),
            scan_id=chain,
        )
        await self._ledger.write_verdict(verdict, chain=chain)
        self._on_verdict(verdict, (self._clock.now() - step.first_seen) / 1000)


def _check_lane(step: Step) -> Lane:
    """The lane of the checks that follow `step`, as urgent as it is."""
    urgent = step.lane in (Lane.ADMISSION, Lane.CHECK)
    return Lane.CHECK if urgent else Lane.CHECK_PREWARM
