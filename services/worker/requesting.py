"""Resolve and request steps: what a tag names now, and the scans that a reference needs."""

import logging
from collections.abc import Callable, Sequence

import msgspec

from services.worker.advancing import Advancing
from services.worker.chains import MARGIN, Chains, Follow, NoPlace
from services.worker.judging import Judging
from services.worker.pointing import Pointing
from services.worker.scanning import Scanning, check_lane, first_id, put_off
from services.worker.submitting import Submits, may_force
from shared.domain.errors import NotAnImage, PermanentFailure, StepFailure, TakenForDown
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.retry import MAX_POLL, RETRIES, fitting_delay, place_delay
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Subject, unresolved
from shared.domain.why import Why
from shared.ports.claims import RequestClaims
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

TAG_LAG = 1
"""Seconds after which a registry is asked once more that announced a push and did not show it yet
(docs/adr/0009)."""


class Requesting:
    """Raises TransientFailure and StoreError for another attempt, NotAnImage for a push that
    nobody need scan."""

    def __init__(
        self,
        *,
        pointing: Pointing,
        judging: Judging,
        claims: RequestClaims,
        chains: Chains,
        advancing: Advancing,
        submits: Submits,
        follow: Follow,
        clock: Clock,
        on_put_off: Callable[[Step], None] = lambda step: None,
    ) -> None:
        """`on_put_off` is told of each request for which prewarm had no place."""
        self._pointing = pointing
        self._judging = judging
        self._claims = claims
        self._chains = chains
        self._advancing = advancing
        self._submits = submits
        self._follow = follow
        self._clock = clock
        self._on_put_off = on_put_off

    async def resolve(self, step: Step) -> None:
        """Ask the registry what the tag names now."""
        await self._claims.begin(step.claim)
        await self._pointing.point(parse_reference(step.reference))

    async def request(self, step: Step) -> None:
        """Begin the scans that the reference needs. Raises NotAnImage for a push of none."""
        if step.claim:
            await self._claims.begin(step.claim)
        if step.hop and step.lane is Lane.PREWARM:
            if not await self._chains.has_room():
                await self.later(step)
                return
            await self._keep(step, 0)
        reference = parse_reference(step.reference)
        if step.attempt and await self._tried_by_another(step, reference):
            await self._claims.free(step)
            return
        subjects = await self._subjects(step, reference)
        if subjects is not None and step.hop:
            await self._chains.end(_sitting_out(step, reference))
        if subjects is None:
            await self._claims.free(step)
        elif step.announced and await self._pointing.lags(reference, step.announced):
            # An id of its own: else it would be a copy of this step, which is still in hand.
            again = msgspec.structs.replace(step, id=f"{step.id}.again", announced="")
            await self._follow(again, TAG_LAG)
        elif subjects:
            await self._begin_all(step, subjects)
        else:
            await self._claims.free(step)

    async def later(self, step: Step) -> None:
        """Have the request come again when prewarm may have a place; that is no attempt of it. It
        claims its image until then: of all who ask meanwhile one comes again, else each push and
        each look at a workload would leave a message that goes round until there is a place."""
        delay = place_delay((self._clock.now() - step.first_seen) / 1000)
        if not await self._keep(step, (delay + MARGIN) * 1000):
            log.debug("step %s ends: another request waits for a place", step.id)
            return
        self._on_put_off(step)
        await self._follow(put_off(step), delay)

    async def _keep(self, step: Step, life: int) -> bool:
        """Claim what it asks for, for `life` milliseconds; False where another request has. What an
        operator forces is another thing than what others ask for, and goes its own way."""
        if may_force(step):
            return True
        key = request_claim(StepKind.REQUEST, parse_reference(step.reference), step.question)
        return await self._claims.keep(key, owner=first_id(step), life=life)

    async def _tried_by_another(self, step: Step, reference: ImageReference) -> bool:
        """As of a scan (`Advancing.advance`), where the registry is what fails."""
        return await self._judging.tried_by_another(
            unresolved(reference), step.question, chain=first_id(step)
        )

    async def _subjects(self, step: Step, reference: ImageReference) -> Sequence[Subject] | None:
        """The manifests; None where there is no scan to begin, which is then written down."""
        try:
            return await self._pointing.subjects(reference, announced=step.announced)
        except StepFailure as error:
            await self._unresolved(step, reference, error)
            return None

    async def _unresolved(
        self, step: Step, reference: ImageReference, failure: StepFailure
    ) -> None:
        """Write down why there is no scan to begin; raises what another attempt may mend, and
        NotAnImage for a push of none."""
        if step.why is Why.NOTICE:
            # Strangers name what they like. What was judged before is renewed in its turn.
            log.info("notice ignored: %s", failure)
        elif isinstance(failure, TakenForDown):
            await self._sit_out(step, reference, failure)
        elif isinstance(failure, NotAnImage):
            if step.why is Why.PREWARM:
                raise failure
            if reference.digest is not None:  # else the tag's pointer says it
                await self._fail(step, unresolved(reference), failure)
        else:
            await self._fail(step, unresolved(reference), failure)
            if not isinstance(failure, PermanentFailure):
                raise failure

    async def _sit_out(self, step: Step, reference: ImageReference, refused: TakenForDown) -> None:
        """Its registry was not asked: that is no attempt, and the request comes again. Those who
        wait are told at once, and ask again while that lasts: of all their requests one goes on, by
        a record of its own."""
        nobody = unresolved(reference)
        await self._judging.fail(step, nobody, refused.kind, str(refused), chain="")
        chain = first_id(step)
        if await self._chains.hold(step, nobody, chain=chain, hop=step.hop) is None:
            return
        tries = step.attempt + step.hop
        climbed = min(RETRIES[min(tries, len(RETRIES) - 1)], MAX_POLL)
        await self._follow(put_off(step), max(fitting_delay(refused.retry_after or 0), climbed))

    async def _begin_all(self, step: Step, subjects: Sequence[Subject]) -> None:
        """Begin each scan. What is no image is an error beside images, and nothing among others
        of its kind: signatures have indexes too."""
        strange: list[tuple[Subject, NotAnImage]] = []
        wants_place = False
        for subject in subjects:
            try:
                await self._begin(step, subject)
            except NotAnImage as error:
                strange.append((subject, error))
            except NoPlace:
                wants_place = True
        if strange and len(strange) == len(subjects):
            raise strange[0][1]
        for subject, refusal in strange:
            await self._fail(step, subject, refusal)
        if wants_place:
            await self.later(step)

    async def _begin(self, step: Step, subject: Subject) -> None:
        # Put off or not, it is one chain: else a request that died with a place in its hands, and
        # comes again when there is none, would be kept out by its own record.
        scanning = await self._chains.hold(step, subject, chain=first_id(step), hop=0)
        if scanning is None:
            await self._force_another_s(step, subject)
            return
        if step.why is not Why.OPERATOR and await self._judging.still_good(step, subject):
            await self._chains.end(scanning)
            return
        await self._advancing.advance(scanning)

    async def _force_another_s(self, step: Step, subject: Subject) -> None:
        """An operator frees an analysis that hangs: the chain that waits for it sees it begin."""
        if not may_force(step):
            return
        holder = await self._chains.holder(step, subject)
        if holder is not None and holder.chain != first_id(step):
            await self._submits.force(subject, step.question)

    async def _fail(self, step: Step, subject: Subject, failure: StepFailure) -> None:
        """Write down why not; the request's own scan of it ends, if there is one."""
        chain = first_id(step)
        await self._judging.fail(step, subject, failure.kind, str(failure), chain=chain)


def _sitting_out(step: Step, reference: ImageReference) -> Scanning:
    """The record of a request that was put off while its registry was taken for down, if it was."""
    return Scanning(step, unresolved(reference), first_id(step), step.hop, check_lane(step))
