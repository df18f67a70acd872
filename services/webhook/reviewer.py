"""One review: which images, what is known of each, the decision.

Knows ports and the domain only. Who waits, and how long: docs/design/behaviour.md 1.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice

import msgspec

from services.webhook.answers import decide
from services.webhook.images import Case, Shape, shapes_of
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.lines import FIRST_LINE, shown
from services.webhook.lookups import Lookups
from services.webhook.note import Note
from services.webhook.notes import Noted, Notes
from services.webhook.objects import is_advice, places_to_judge
from services.webhook.occasions import Occasions
from services.webhook.recent import Recent, Resting
from services.webhook.terms import Terms
from shared.domain.decision import Decision, Judgement, State
from shared.domain.emergency import Emergency
from shared.domain.errors import InvalidObject
from shared.domain.review import AdmissionRequest
from shared.domain.rules import Mode
from shared.domain.scope import RuleBook, Scope
from shared.domain.step import Lane
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

LAST_LOOK = 0.25
"""Seconds kept at the end of a review for the last look and the answer."""

KEPT_DECISIONS = 2_000
KEPT_IMAGES = 16
"""Of a pod whose decision is kept for the next one like it: together they bound the memory."""

MAX_TENANT = 63
"""Characters of a namespace's name; a longer one is a stranger's, and counts as what it begins
with."""

AGE_SHOWN = 1_000
"""Milliseconds: how exactly an answer tells a verdict's age."""


class Waits(msgspec.Struct, frozen=True):
    """Seconds that a review waits for an image nobody has judged yet."""

    person: float = 2.0
    system: float = 0.5
    """Controllers and service accounts: five that wait would stop every rollout."""


DEFAULT_WAITS = Waits()
DEFAULT_TERMS = Terms()
NOTHING = Decision(True, State.PASS, audit={"decision": State.PASS.value})
"""Of an object that starts no image, or none that it did not start before."""


class Review(msgspec.Struct, frozen=True, eq=False):
    """One review under way, told from others by identity."""

    request: AdmissionRequest
    scope: Scope
    book: RuleBook
    deadline: float
    """Monotonic seconds."""
    advice: bool
    emergency: Emergency | None = None
    """The one that counts for the object now."""

    @property
    def dry_run(self) -> bool:
        """Nothing runs of it, and nothing is asked for."""
        return self.request.dry_run is True

    @property
    def by_system(self) -> bool:
        """Whether it comes from a controller or a service account."""
        return self.request.user_info.username.startswith("system:")

    def is_urgent(self, case: Case) -> bool:
        """Whether it may be denied for want of a verdict."""
        return case.rule.mode is Mode.ENFORCE and not self.advice and self.emergency is None


class Reviewer:
    """Decides about objects; the same reference is judged once a review, all side by side."""

    def __init__(
        self,
        *,
        knowledge: Knowledge,
        occasions: Occasions,
        clock: Clock,
        waits: Waits = DEFAULT_WAITS,
        terms: Terms = DEFAULT_TERMS,
        lookups: Lookups | None = None,
    ) -> None:
        """`lookups` is told of what was answered from what is kept here."""
        self._knowledge = knowledge
        self._occasions = occasions
        self._clock = clock
        self._waits = waits
        self._lookups = lookups or Lookups()
        self._notes = Notes(knowledge=knowledge, clock=clock, terms=terms, lookups=self._lookups)
        self._decisions: Recent[tuple[Scope, tuple[Shape, ...]], Decision] = Recent(
            clock=clock, max_things=KEPT_DECISIONS
        )

    async def review(self, request: AdmissionRequest, *, deadline: float) -> Decision:
        """Allow or deny, before `deadline` (monotonic seconds)."""
        advice = is_advice(request)
        try:
            places = places_to_judge(request)
            if advice:
                placeholders = self._occasions.book.rules.placeholders
                places = [place for place in places if place.image not in placeholders]
            if not places:
                return NOTHING
            scope, book = self._occasions.at_once(request) or await self._occasions.scope(request)
        except InvalidObject as error:
            return _refusal(str(error))
        shapes = shapes_of(places)
        if not advice:
            kept = self._decisions.get((scope, shapes), book=book)
            if kept is not None:
                if kept.entries:
                    self._lookups.kept(len(kept.thing.images))
                return kept.thing
        emergency = scope.emergency
        if emergency is not None and not emergency.counts(self._clock.now()):
            emergency = None
        review = Review(request, scope, book, deadline, advice, emergency)
        return await self._decide(review, shapes)

    async def _decide(self, review: Review, shapes: tuple[Shape, ...]) -> Decision:
        scope, book = review.scope, review.book
        asks, advice = not review.dry_run, review.advice
        glances = [
            self._notes.glance(shape, scope, book, asks=asks, advice=advice)
            for shape in dict.fromkeys(shapes)
        ]
        unknown = [case for glance in glances for case in glance.unknown]
        learned = iter(await self._learn(unknown, review) if unknown else ())
        notes: list[Note] = []
        for glance in glances:
            notes.extend(glance.known.thing)
            notes.extend(islice(learned, len(glance.unknown)))
        decision = decide(
            notes,
            now=self._clock.now(),
            by_system=review.by_system,
            dry_run=review.dry_run,
            advice=advice,
            emergency=review.emergency,
        )
        # What a dry run or a workload may do, a pod may not.
        if decision.allowed and not unknown and asks and not advice:
            self._keep(review, shapes, decision, [glance.known for glance in glances])
        return decision

    def _keep(
        self,
        review: Review,
        shapes: tuple[Shape, ...],
        decision: Decision,
        known: Sequence[Resting[Noted]],
    ) -> None:
        """The next pod with these images gets this answer; for a second, since it tells ages."""
        if len(shapes) > KEPT_IMAGES:
            return
        ends = [review.emergency.until] if review.emergency else []
        until = min([self._clock.now() + AGE_SHOWN, *ends, *(each.until for each in known)])
        entries = tuple([entry for each in known for entry in each.entries])
        kept = Resting(decision, until, entries)
        self._decisions.keep((review.scope, shapes), kept, book=review.book)

    async def _learn(self, cases: Sequence[Case], review: Review) -> list[Note]:
        """Of each what is known by the deadline. What several rules ask of one image is asked
        once, and as urgently as one of them wants it."""
        wanted: dict[object, Case] = {}
        for case in cases:
            if review.is_urgent(case) or case.looked_up not in wanted:
                wanted[case.looked_up] = case
        async with asyncio.TaskGroup() as group:
            tasks = {
                looked_up: group.create_task(self._learn_in_time(case, review))
                for looked_up, case in wanted.items()
            }
        return [self._noted(case, tasks[case.looked_up].result(), review) for case in cases]

    def _noted(self, case: Case, judgement: Judgement, review: Review) -> Note:
        if judgement.image != case.image.written:
            judgement = msgspec.structs.replace(judgement, image=case.image.written)
        return self._notes.settled(case, judgement, review.scope, advice=review.advice)[0]

    async def _learn_in_time(self, case: Case, review: Review) -> Judgement:
        """Whatever hangs below, the review is answered: the last guard, not the usual way."""
        image = case.image
        try:
            async with asyncio.timeout(review.deadline - self._clock.monotonic()):
                return await self._knowledge.learn(image, self._patience(case, review))
        except TimeoutError:
            log.warning("no judgement of %s before the review's deadline", image.reference)
            return Judgement(
                image=image.written,
                state=State.PENDING,
                message="imagegate could not find out in time",
                reference=image.reference,
            )

    def _patience(self, case: Case, review: Review) -> Patience:
        wait = self._waits.system if review.by_system else self._waits.person
        urgent = review.is_urgent(case)
        return Patience(
            until=min(self._clock.monotonic() + wait, review.deadline - LAST_LOOK),
            asks=not review.dry_run,
            waits=urgent and not review.dry_run,
            who=review,
            only_first=review.by_system,
            lane=Lane.ADMISSION if urgent else Lane.PREWARM,
            tenant=review.request.namespace[:MAX_TENANT] if urgent else "",
        )


def _refusal(message: str) -> Decision:
    said = shown(message, FIRST_LINE)
    return Decision(
        False,
        State.INVALID,
        code=403,
        message=said,
        reason=said,
        audit={"decision": State.INVALID.value},
    )
