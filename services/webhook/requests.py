"""Asking for what is not known: the request claim, then the queue.

Order of operations and what each failure means: docs/design/protocol.md.
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from services.webhook.catalogue import Image, Need
from services.webhook.timings import Timings
from services.webhook.trouble import OnTrouble, trouble_of
from shared.domain.errors import QueueError, QueueUnconfirmed, StoreError, StoreMisconfigured
from shared.domain.latest import Latest
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Subject, scan_key
from shared.domain.why import Why
from shared.ports.claims import Claim, RequestClaims
from shared.ports.clock import Clock
from shared.ports.steps import StepQueue
from shared.runtime.seldom import Bursts

log = logging.getLogger(__name__)

CLAIM_LIFE = 30_000
"""Milliseconds; the worker that begins the request deletes it sooner."""

RESOLVE_LIFE = 2_000
"""A resolve is asked again this soon: its message ends with its askers' deadline."""

ASKED_AGAIN = 1.0
"""Seconds in which this process does not try to claim the same thing again."""

SAID_AGAIN = 10.0
"""Seconds between two lines in the log about the same trouble with store or queue."""

ANOTHER_STORY = 1_800.0
"""Seconds after which nobody waits any more for what was wanted once: controllers come back sooner
(docs/design/kube-facts.md 3)."""

MAX_REMEMBERED = 5_000
"""Questions; about 2 MiB. Whoever writes a pod can ask without end."""


class Asked(StrEnum):
    """What became of asking."""

    FIRST = "first"
    """This caller took the claim, and the step is queued."""
    UNDER_WAY = "under_way"
    OVER = "over"
    """The namespace has as many analyses under way as it may: nothing was asked for, and nobody
    else is kept from asking."""
    STORE_DOWN = "store_down"
    QUEUE_DOWN = "queue_down"


class Request(msgspec.Struct):
    """What this process remembers of something it asked for."""

    first_seen: int
    tried: float
    outcome: Asked
    lane: Lane
    """In which the last step was wanted."""
    tenant: str = ""
    """Whose budget the last step counts in."""


class Requests:
    """Publishes each wanted step once, whoever else wants it too."""

    def __init__(
        self,
        *,
        claims: RequestClaims,
        queue: StepQueue,
        clock: Clock,
        timings: Timings | None = None,
        on_asked: Callable[[Need, Asked], None] = lambda need, outcome: None,
        on_trouble: OnTrouble = lambda trouble: None,
    ) -> None:
        """`timings` is told of scans that people wait for, `on_asked` of each question what
        became of it."""
        self._claims = claims
        self._queue = queue
        self._clock = clock
        self._timings = timings or Timings(clock=clock)
        self._on_asked = on_asked
        self._on_trouble = on_trouble
        self._bursts = Bursts(clock=clock, every=SAID_AGAIN)
        self._remembered = Latest[str, Request](MAX_REMEMBERED)

    def since(self, image: Image) -> int:
        """When this image was first asked for here (ms), or by whose scan was under way then."""
        request = self._remembered.get(_claim_key(image, Need.REQUEST))
        return request.first_seen if request else self._clock.now()

    def usual(self, image: Image) -> int:
        """How long scans like this image's took lately (ms); 0: none was measured yet."""
        return self._timings.usual(image.question)

    def forget(self, image: Image) -> None:
        """It is known: the next time it is unknown is another story."""
        if self._remembered.pop(_claim_key(image, Need.REQUEST), None) is not None:
            self._timings.forget(image.reference, image.question)

    def asked_lately(self, image: Image, need: Need, *, tenant: str = "") -> bool:
        """Whether asking now would change nothing."""
        request = self._remembered.get(_claim_key(image, need))
        if request is None or (request.outcome is Asked.OVER and request.tenant != tenant):
            return False
        return self._clock.monotonic() < request.tried + ASKED_AGAIN

    async def ask(
        self,
        image: Image,
        need: Need,
        *,
        subjects: Sequence[Subject] = (),
        lane: Lane = Lane.ADMISSION,
        why: Why = Why.ADMISSION,
        within: float = 0.0,
        tenant: str = "",
        force: bool = False,
    ) -> Asked:
        """Have it resolved or judged; never raises for a dead store or queue.

        `within` (seconds): how long somebody waits for a resolve. `tenant`: the namespace whose
        budget of new analyses a request in the people's lane counts in. `force`: as in `Step`.
        """
        step = self._step(image, need, lane=lane, why=why, within=within, force=force)
        if step.lane is Lane.ADMISSION:
            step = msgspec.structs.replace(step, tenant=tenant)
        outcome = await self._ask(image, need, step, subjects, lane=lane, within=within)
        self._on_asked(need, outcome)
        return outcome

    async def _ask(
        self,
        image: Image,
        need: Need,
        step: Step,
        subjects: Sequence[Subject],
        *,
        lane: Lane,
        within: float,
    ) -> Asked:
        now = self._clock.monotonic()
        request = self._remembered.get(step.claim)
        lately = self.asked_lately(image, need, tenant=step.tenant)
        if request is not None and lately and not _more_urgent(lane, than=request.lane):
            return Asked.UNDER_WAY if request.outcome is Asked.FIRST else request.outcome
        begins = request is None or _is_another_story(request, now)
        if request is None or begins:
            request = Request(step.first_seen, now, Asked.UNDER_WAY, lane)
            self._remembered[step.claim] = request
        request.tried, request.outcome, request.lane = now, Asked.UNDER_WAY, lane
        request.tenant = step.tenant
        request.outcome = await self._claim_and_publish(step, subjects, within=within)
        if begins and subjects and request.outcome is Asked.UNDER_WAY:
            request.first_seen = await self._wanted_since(step, subjects)
        if request.outcome is Asked.FIRST and step.lane is Lane.ADMISSION:
            self._timings.began(image.reference, image.question, at=step.first_seen)
        return request.outcome

    async def _claim_and_publish(
        self, step: Step, subjects: Sequence[Subject], *, within: float
    ) -> Asked:
        resolving = step.kind is StepKind.RESOLVE
        life = RESOLVE_LIFE if resolving else CLAIM_LIFE
        scans = [scan_key(subject, step.question) for subject in subjects]
        try:
            claim = await self._claims.claim(step.claim, step, life=life, scans=scans)
        except StoreError as error:
            self._warn("not asked for", error)
            return Asked.STORE_DOWN
        if claim is not Claim.TAKEN:
            return Asked.OVER if claim is Claim.OVER else Asked.UNDER_WAY
        try:
            await self._queue.publish(step, expires_in=within if resolving else None)
        except QueueUnconfirmed as error:
            self._warn("no confirm, the claim ends by itself", error, step.claim)
        except QueueError as error:
            self._warn("cannot queue", error, step.claim)
            await self._drop(step.claim)
            return Asked.QUEUE_DOWN
        return Asked.FIRST

    async def _wanted_since(self, step: Step, subjects: Sequence[Subject]) -> int:
        """Since when others have wanted what is asked for here for the first time (ms)."""
        scans = [scan_key(subject, step.question) for subject in subjects]
        try:
            begun = await self._claims.begun(scans)
        except StoreError as error:
            self._warn("not asked since when a scan is under way", error)
            begun = None
        return min(begun or step.first_seen, step.first_seen)

    async def _drop(self, key: str) -> None:
        try:
            await self._claims.drop(key)
        except StoreError as error:
            self._warn("cannot drop the claim, it ends by itself", error, key)

    def _warn(self, what: str, error: Exception, key: str = "") -> None:
        """Say it, unless the same went wrong a moment ago: a server that is away fails them all."""
        if isinstance(error, StoreError):
            self._on_trouble(trouble_of(error))
        level = logging.ERROR if isinstance(error, StoreMisconfigured) else logging.WARNING
        others = self._bursts.said(what)
        if others is not None:
            log.log(level, "%s%s: %s%s", what, key and f", {key}", error, others)

    def _step(
        self, image: Image, need: Need, *, lane: Lane, why: Why, within: float, force: bool
    ) -> Step:
        now = self._clock.now()
        resolving = need is Need.RESOLVE
        return Step(
            id=uuid.uuid4().hex,
            kind=StepKind.RESOLVE if resolving else StepKind.REQUEST,
            lane=Lane.RESOLVE if resolving else lane,
            reference=str(image.reference),
            question=image.question,
            first_seen=now,
            why=why,
            claim=_claim_key(image, need),
            deadline=now + round(within * 1000) if resolving else None,
            force=force,
        )


def _is_another_story(request: Request, now: float) -> bool:
    """Whether nobody waits any more for what was wanted then, or nothing came of it."""
    return request.outcome is Asked.OVER or now > request.tried + ANOTHER_STORY


def _more_urgent(lane: Lane, *, than: Lane) -> bool:
    """A step for people takes a prewarm step's claim over: it must not wait in that line."""
    return than is Lane.PREWARM and lane is not Lane.PREWARM


def _claim_key(image: Image, need: Need) -> str:
    return request_claim(StepKind(need), image.reference, image.question)
