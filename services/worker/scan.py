"""Scans as chains of short steps: request begins one, check steps carry it to a verdict.

The order of operations, and what breaks when it is changed, is docs/design/protocol.md.
A step does its part and ends; what must wait longer is the follow-up's business.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from services.worker.budget import PollBudget
from services.worker.judging import Judging
from services.worker.pointing import Pointing
from services.worker.quick import Look, QuickLooks
from shared.domain.errors import (
    ErrorKind,
    NotAnImage,
    PermanentFailure,
    StepFailure,
    TakenForDown,
    TransientFailure,
)
from shared.domain.reference import parse_reference
from shared.domain.retry import MAX_POLL, fitting_delay, poll_delay
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Subject, scan_key, unresolved
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
    """The steps of a scan. Raises TransientFailure and StoreError for another attempt, NotAnImage
    for a push that nobody need scan."""

    def __init__(
        self,
        *,
        scanner: Scanner,
        pointing: Pointing,
        judging: Judging,
        claims: RequestClaims,
        leases: ScanLeases,
        follow: Follow,
        budget: PollBudget,
        quick: QuickLooks,
        clock: Clock,
        analysis_limit: float = 3600.0,
        scanner_budget: float = SCANNER_BUDGET,
    ) -> None:
        """`analysis_limit` (seconds): longer than that no analysis is waited for;
        `scanner_budget` (seconds): what the scanner has for one step."""
        self._scanner = scanner
        self._pointing = pointing
        self._judging = judging
        self._claims = claims
        self._leases = leases
        self._follow = follow
        self._budget = budget
        self._quick = quick
        self._clock = clock
        self._analysis_limit = analysis_limit
        self._scanner_budget = scanner_budget

    async def resolve(self, step: Step) -> None:
        """Ask the registry what the tag names now."""
        await self._claims.begin(step.claim)
        await self._pointing.point(parse_reference(step.reference))

    async def request(self, step: Step) -> None:
        """Begin the scans that the reference needs. Raises NotAnImage for a push of none."""
        if step.claim:
            await self._claims.begin(step.claim)
        reference = parse_reference(step.reference)
        try:
            subjects = await self._pointing.subjects(reference, announced=step.announced)
        except NotAnImage as error:
            if step.why is Why.PREWARM:
                raise
            if reference.digest is not None:  # else the tag's pointer says it
                await self._fail(step, unresolved(reference), error, chain=step.id)
            return
        except StepFailure as error:
            await self._fail(step, unresolved(reference), error, chain=step.id)
            if isinstance(error, PermanentFailure):
                return
            raise
        if step.announced and await self._pointing.lags(reference, step.announced):
            # An id of its own: else it would be a copy of this step, which is still in hand.
            again = msgspec.structs.replace(step, id=f"{step.id}.again", announced="")
            await self._follow(again, TAG_LAG)
            return
        await self._begin_all(step, subjects)

    async def check(self, step: Step) -> None:
        """A look at an analysis under way, or some; a verdict, or the next check."""
        subject = step.subject
        if subject is None or not await self._hold(step, subject, step.chain, step.hop):
            return
        if not await self._pointing.named(subject):
            await self._ask_anew(step, subject)
            return
        if not await self._budget.take(within=MAX_TOKEN_WAIT):
            await self._follow(self._next_check(step, subject, step.chain, step.hop), 1)
            return
        await self._advance(step, subject, step.chain, step.hop)

    async def _ask_anew(self, step: Step, subject: Subject) -> None:
        """A verdict tells that a worker saw the tag name the digest, and a message proves nothing:
        who writes to the queue would choose the policy by a tag that lies. The tag may also have
        moved twice meanwhile, or the store been emptied. So the registry is asked again."""
        log.info("asked anew: nobody saw the tag name the digest", extra={"image": step.reference})
        await self._leases.release(scan_key(subject, step.question), chain=step.chain)
        await self._follow(_request(step), 0)

    async def _begin_all(self, step: Step, subjects: Sequence[Subject]) -> None:
        """Begin each scan. What is no image is an error beside images, and nothing among others
        of its kind: signatures have indexes too."""
        strange: list[tuple[Subject, NotAnImage]] = []
        for subject in subjects:
            try:
                await self._begin(step, subject)
            except NotAnImage as error:
                strange.append((subject, error))
        if strange and len(strange) == len(subjects):
            raise strange[0][1]
        for subject, refusal in strange:
            await self._fail(step, subject, refusal, chain=step.id)

    async def _begin(self, step: Step, subject: Subject) -> None:
        if not await self._hold(step, subject, step.id, 0):
            return
        if step.why is not Why.OPERATOR and await self._judging.still_good(step, subject):
            await self._leases.release(scan_key(subject, step.question), chain=step.id)
            return
        await self._advance(step, subject, step.id, 0)

    async def _advance(self, step: Step, subject: Subject, chain: str, hop: int) -> None:
        """Ask for the state first, submit only what is unknown, evaluate what is done.

        A failure is written down for those who wait, and ends the scan record with it: whoever
        asks meanwhile need not wait for this chain's next attempt. A scanner that was not asked
        because it is taken for down is no failure: the chain goes on with its next check.
        """
        asking = msgspec.structs.replace(step, began=step.began or self._clock.now())
        try:
            async with asyncio.timeout(self._scanner_budget):
                done = await self._quick.looks(
                    self._looker(asking, subject, chain, first=not step.began),
                    lane=step.lane,
                    age=lambda: self._age(asking),
                )
        except TakenForDown as error:
            await self._fail(step, subject, error, chain="")
            delay = self._outage_delay(step, error)
            # An analysis is not the older for a time in which nobody could ask about it.
            later = step.began and step.began + 1000 * delay
            waiting = msgspec.structs.replace(step, began=later)
            await self._follow(self._next_check(waiting, subject, chain, hop), delay)
        except (StepFailure, TimeoutError) as error:
            await self._end(step, subject, chain, error)
        else:
            if not done:
                await self._follow(
                    self._next_check(asking, subject, chain, hop), self._next_delay(asking)
                )

    async def _end(self, step: Step, subject: Subject, chain: str, error: Exception) -> None:
        """End the chain with its failure; raises what another attempt may mend, and NotAnImage
        where nobody asked."""
        failure = error if isinstance(error, StepFailure) else self._silent()
        if isinstance(failure, NotAnImage) and step.why is Why.PREWARM:
            await self._leases.release(scan_key(subject, step.question), chain=chain)
            raise failure
        await self._fail(step, subject, failure, chain=chain)
        if not isinstance(failure, PermanentFailure):
            raise failure from error

    def _looker(self, step: Step, subject: Subject, chain: str, *, first: bool) -> Look:
        """A look that knows whether it is the chain's first."""

        async def look() -> bool:
            nonlocal first
            begins, first = first, False
            return await self._look(step, subject, chain, first=begins)

        return look

    async def _look(self, step: Step, subject: Subject, chain: str, *, first: bool) -> bool:
        """Whether there is a verdict now; raises StepFailure."""
        state = (await self._scanner.analysis(subject, step.question)).state
        if state is Analysis.UNKNOWN or (state is Analysis.FAILED and first):
            await self._pointing.read(subject)
            state = (await self._scanner.submit(subject, step.question)).state
        if state is Analysis.DONE:
            took = self._age(step)
            await self._judging.judge(step, subject, chain=chain)
            if not first:
                self._quick.analyses.ended(took)
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

    def _next_delay(self, step: Step) -> int:
        """Seconds: none while quick looks are worth it, and then the ladder's."""
        age = self._age(step)
        return 0 if self._quick.worth(_check_lane(step), age) else poll_delay(age)

    def _outage_delay(self, step: Step, refused: TakenForDown) -> int:
        """Seconds: until the scanner is asked again, and longer the longer the step has waited."""
        waited = (self._clock.now() - step.first_seen) / 1000
        return max(fitting_delay(refused.retry_after or 0), poll_delay(waited))

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

    async def _fail(
        self, step: Step, subject: Subject, failure: StepFailure, *, chain: str
    ) -> None:
        """Write down why not; a `chain` ends with it."""
        await self._judging.fail(step, subject, failure.kind, str(failure), chain=chain)

    async def _hold(self, step: Step, subject: Subject, chain: str, hop: int) -> bool:
        held = await self._leases.hold(
            scan_key(subject, step.question),
            chain=chain,
            hop=hop,
            life=LEASE_LIFE,
            lane=_check_lane(step),
            first_seen=step.first_seen,
            tenant=step.tenant,
            claim=step.claim,
        )
        if held.outcome is not Hold.HELD:
            log.debug("step %s ends: the scan is %s", step.id, held.outcome)
        return held.outcome is Hold.HELD


def _request(check: Step) -> Step:
    """The request of a check's image, with a name of its own."""
    return msgspec.structs.replace(
        check,
        id=uuid.uuid4().hex,
        kind=StepKind.REQUEST,
        lane=Lane.ADMISSION if check.lane is Lane.CHECK else Lane.PREWARM,
        subject=None,
        chain="",
        hop=0,
        began=0,
        attempt=0,
        history=(),
    )


def _check_lane(step: Step) -> Lane:
    """The lane of the checks that follow `step`, as urgent as it is."""
    urgent = step.lane in (Lane.ADMISSION, Lane.CHECK)
    return Lane.CHECK if urgent else Lane.CHECK_PREWARM
