"""One review: which images, what is known of each, the decision.

Knows ports and the domain only. Who waits, and how long: docs/design/behaviour.md 1.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from services.webhook.answers import ALLOWED, Note, decide, note
from services.webhook.images import Case, Ruled, Shape, cases_of, shape_of
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.lookups import Lookups
from services.webhook.near_cache import Entry
from services.webhook.objects import is_advice, places_to_judge
from services.webhook.occasions import Occasions
from services.webhook.recent import Recent, Resting
from services.webhook.settling import settle
from services.webhook.terms import Terms
from services.webhook.wording import FIRST_LINE, shown
from shared.domain.decision import Decision, Judgement, State
from shared.domain.errors import InvalidObject
from shared.domain.pointer import FOREVER
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

AGE_SHOWN = 1_000
"""Milliseconds: how exactly an answer tells a verdict's age."""

Notes: TypeAlias = tuple[Note, ...]


class Waits(msgspec.Struct, frozen=True):
    """Seconds that a review waits for an image nobody has judged yet."""

    person: float = 2.0
    system: float = 0.5
    """Controllers and service accounts: five that wait would stop every rollout."""


DEFAULT_WAITS = Waits()
DEFAULT_TERMS = Terms()
NOTHING = Decision(True, State.PASS, audit={"decision": str(State.PASS)})
"""Of an object that starts no image, or none that it did not start before."""


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
        self._terms = terms
        self._lookups = lookups or Lookups()
        self._notes: Recent[tuple[Scope, Shape], Notes] = Recent(clock=clock)
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
        shapes = tuple([shape_of(place) for place in places])
        if not advice:
            decided = self._decisions.get((scope, shapes), book=book)
            if decided is not None:
                if decided.entries:
                    self._lookups.kept(len(decided.thing.images))
                return decided.thing
        return await self._decide(request, shapes, scope, book, deadline=deadline)

    async def _decide(
        self,
        request: AdmissionRequest,
        shapes: tuple[Shape, ...],
        scope: Scope,
        book: RuleBook,
        *,
        deadline: float,
    ) -> Decision:
        advice = is_advice(request)
        asks = not request.dry_run
        resting: list[Resting[Notes]] = []
        notes: list[Note] = []
        unknown: list[Case] = []
        for shape in dict.fromkeys(shapes):
            found = self._glance(shape, scope, book, asks=asks, advice=advice)
            if isinstance(found, Resting):
                resting.append(found)
                notes.extend(found.thing)
            else:
                notes.extend([each for each in found if isinstance(each, Note)])
                unknown.extend([each for each in found if isinstance(each, Case)])
        if unknown:
            learned = await self._learn(unknown, request, deadline)
            now = self._clock.now()
            notes += [self._settled(*each, scope, now, advice=advice)[0] for each in learned]
        decision = decide(
            notes,
            now=self._clock.now(),
            by_system=_is_system(request),
            dry_run=bool(request.dry_run),
            advice=advice,
        )
        keepable = decision.allowed and decision.state in ALLOWED and not unknown and not advice
        if keepable and len(shapes) <= KEPT_IMAGES:
            self._keep(scope, shapes, decision, resting, book)
        return decision

    def _keep(
        self,
        scope: Scope,
        shapes: tuple[Shape, ...],
        decision: Decision,
        resting: Sequence[Resting[Notes]],
        book: RuleBook,
    ) -> None:
        """The next pod with these images gets this answer; for a second, since it tells ages."""
        until = min([self._clock.now() + AGE_SHOWN, *(each.until for each in resting)])
        entries = [entry for each in resting for entry in each.entries]
        self._decisions.keep((scope, shapes), decision, until=until, entries=entries, book=book)

    def _glance(
        self, shape: Shape, scope: Scope, book: RuleBook, *, asks: bool, advice: bool
    ) -> Resting[Notes] | list[Note | Case]:
        """What is known at once of an image: all that has to be, or some of it and the rest."""
        # A workload's tags are judged by other terms than a pod's.
        kept = None if advice else self._notes.get((scope, shape), book=book)
        if kept is not None:
            self._lookups.kept(1)
            return kept
        now = self._clock.now()
        cases = cases_of(shape, scope, book.rules, scanner=self._terms.scanner, now=now)
        found: list[Note | Case] = []
        entries: list[Entry] = []
        until = FOREVER
        for case in cases:
            if isinstance(case, Ruled):
                found.append(note(case.judgement, case.rule, now))
                until = min(until, case.until)
                continue
            glimpse = self._knowledge.glance(case.image, asks=asks)
            if glimpse is None:
                found.append(case)
                continue
            made, changes = self._settled(case, glimpse.judgement, scope, now, advice=advice)
            found.append(made)
            entries.extend(glimpse.entries)
            until = min(until, glimpse.until, changes)
        notes = tuple([each for each in found if isinstance(each, Note)])
        if len(notes) < len(found):
            return found
        if advice or not entries:
            return Resting(notes, until, tuple(entries))
        return self._notes.keep((scope, shape), notes, until=until, entries=entries, book=book)

    def _settled(
        self, case: Case, judgement: Judgement, scope: Scope, now: int, *, advice: bool
    ) -> tuple[Note, int]:
        """What counts of a judgement, and until when (ms)."""
        settled = settle(
            judgement,
            case.rule,
            terms=self._terms,
            exceptions=scope.exceptions,
            now=now,
            advice=advice,
        )
        return note(settled.judgement, case.rule, now), settled.until

    def _patience(self, case: Case, request: AdmissionRequest, deadline: float) -> Patience:
        system = _is_system(request)
        wait = self._waits.system if system else self._waits.person
        urgent = case.rule.mode is Mode.ENFORCE and not is_advice(request)
        return Patience(
            until=min(self._clock.monotonic() + wait, deadline - LAST_LOOK),
            asks=not request.dry_run,
            waits=urgent and not request.dry_run,
            only_first=system,
            lane=Lane.ADMISSION if urgent else Lane.PREWARM,
        )

    async def _learn(
        self, cases: Iterable[Case], request: AdmissionRequest, deadline: float
    ) -> list[tuple[Case, Judgement]]:
        """What is known of each by the deadline; what two rules ask is asked once, for the more
        urgent of them."""
        wanted: dict[object, tuple[Case, Patience]] = {}
        cases = list(cases)
        for case in cases:
            patience = self._patience(case, request, deadline)
            if case.image not in wanted or patience.waits:
                wanted[case.image] = (case, patience)
        if len(wanted) == 1:
            ((case, patience),) = wanted.values()
            judgement = await self._learn_in_time(case, patience, deadline)
            return [(each, judgement) for each in cases]
        async with asyncio.TaskGroup() as group:
            tasks = {
                image: group.create_task(self._learn_in_time(case, patience, deadline))
                for image, (case, patience) in wanted.items()
            }
        return [(each, tasks[each.image].result()) for each in cases]

    async def _learn_in_time(self, case: Case, patience: Patience, deadline: float) -> Judgement:
        """Whatever hangs below, the review is answered: the last guard, not the usual way."""
        image = case.image
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                return await self._knowledge.learn(image, patience)
        except TimeoutError:
            log.warning("no judgement of %s before the review's deadline", image.reference)
            return Judgement(
                image=image.written,
                state=State.PENDING,
                message="imagegate could not find out in time",
                reference=image.reference,
            )


def _is_system(request: AdmissionRequest) -> bool:
    return request.user_info.username.startswith("system:")


def _refusal(message: str) -> Decision:
    return Decision(
        False,
        State.INVALID,
        code=403,
        message=shown(message, FIRST_LINE),
        audit={"decision": str(State.INVALID)},
    )
