"""One review: which images, what is known of each, the decision.

Knows ports and the domain only. Who waits, and how long: docs/design/behaviour.md 1.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from services.webhook.answers import Note, decide, note
from services.webhook.catalogue import Image
from services.webhook.images import Shape, image_of, shape_of
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.lookups import Lookups
from services.webhook.objects import is_advice, places_to_judge
from services.webhook.recent import Recent, Resting
from services.webhook.wording import FIRST_LINE, shown
from shared.domain.decision import Decision, Judgement, State
from shared.domain.errors import InvalidObject
from shared.domain.pointer import FOREVER
from shared.domain.review import AdmissionRequest
from shared.domain.rules import Mode, Rules
from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT

log = logging.getLogger(__name__)

LAST_LOOK = 0.25
"""Seconds kept at the end of a review for the last look and the answer."""


KEPT_DECISIONS = 2_000
KEPT_IMAGES = 16
"""Of a pod whose decision is kept for the next one like it: together they bound the memory."""

AGE_SHOWN = 1_000
"""Milliseconds: how exactly an answer tells a verdict's age."""


class Waits(msgspec.Struct, frozen=True):
    """Seconds that a review waits for an image nobody has judged yet."""

    person: float = 2.0
    system: float = 0.5
    """Controllers and service accounts: five that wait would stop every rollout."""


DEFAULT_WAITS = Waits()


class Reviewer:
    """Decides about objects; the same reference is judged once a review, all side by side."""

    def __init__(
        self,
        *,
        knowledge: Knowledge,
        rules: Callable[[], Rules],
        clock: Clock,
        waits: Waits = DEFAULT_WAITS,
        scanner: str = "anchore",
        lookups: Lookups | None = None,
    ) -> None:
        """`lookups` is told of what was answered from what is kept here."""
        self._knowledge = knowledge
        self._rules = rules
        self._clock = clock
        self._waits = waits
        self._scanner = scanner
        self._lookups = lookups or Lookups()
        self._notes: Recent[Shape, Note] = Recent(clock=clock)
        self._decisions: Recent[tuple[Shape, ...], Decision] = Recent(
            clock=clock, max_things=KEPT_DECISIONS
        )

    async def review(self, request: AdmissionRequest, *, deadline: float) -> Decision:
        """Allow or deny, before `deadline` (monotonic seconds)."""
        rules = self._rules()
        try:
            places = places_to_judge(request)
        except InvalidObject as error:
            return _refusal(State.INVALID, str(error))
        advice = is_advice(request)
        if advice:
            places = [place for place in places if place.image not in rules.placeholders]
        shapes = tuple([shape_of(place) for place in places])
        if places and rules.default.mode is Mode.DENY:
            reason = f"rule {rules.default.name} denies every image"
            return _refusal(State.REFUSED, reason, shapes)
        if not advice:
            decided = self._decisions.get(shapes, rules=rules)
            if decided is not None:
                if decided.entries:
                    self._lookups.kept(len(decided.thing.images))
                return decided.thing
        return await self._decide(request, shapes, rules, advice=advice, deadline=deadline)

    async def _decide(
        self,
        request: AdmissionRequest,
        shapes: tuple[Shape, ...],
        rules: Rules,
        *,
        advice: bool,
        deadline: float,
    ) -> Decision:
        asks = not request.dry_run
        known = [self._known(shape, rules, asks=asks) for shape in dict.fromkeys(shapes)]
        unknown = [each for each in known if isinstance(each, Image)]
        resting = [each for each in known if isinstance(each, Resting)]
        notes = [each.thing for each in resting]
        if unknown:
            patience = self._patience(request, rules, deadline, advice=advice)
            notes += await self._learn(unknown, patience, deadline)
        decision = decide(
            notes,
            rule=rules.default,
            now=self._clock.now(),
            by_system=_is_system(request),
            dry_run=bool(request.dry_run),
            advice=advice,
        )
        keepable = decision.state is State.PASS and not unknown and not advice
        if keepable and len(shapes) <= KEPT_IMAGES:
            self._keep(shapes, decision, resting, rules)
        return decision

    def _keep(
        self,
        shapes: tuple[Shape, ...],
        decision: Decision,
        resting: Sequence[Resting[Note]],
        rules: Rules,
    ) -> None:
        """The next pod with these images gets this answer; for a second, since it tells ages."""
        until = min([self._clock.now() + AGE_SHOWN, *(each.until for each in resting)])
        entries = [entry for each in resting for entry in each.entries]
        self._decisions.keep(shapes, decision, until=until, entries=entries, rules=rules)

    def _known(self, shape: Shape, rules: Rules, *, asks: bool) -> Resting[Note] | Image:
        """What is known at once of an image, or what has to be learned."""
        kept = self._notes.get(shape, rules=rules)
        if kept is not None:
            self._lookups.kept(1)
            return kept
        image = image_of(shape, rules, scanner=self._scanner)
        if isinstance(image, Judgement):
            return Resting(note(image, self._clock.now()), FOREVER, ())
        glimpse = self._knowledge.glance(image, asks=asks)
        if glimpse is None:
            return image
        made = note(glimpse.judgement, self._clock.now())
        return self._notes.keep(
            shape, made, until=glimpse.until, entries=glimpse.entries, rules=rules
        )

    def _patience(
        self, request: AdmissionRequest, rules: Rules, deadline: float, *, advice: bool
    ) -> Patience:
        system = _is_system(request)
        wait = self._waits.system if system else self._waits.person
        urgent = rules.default.mode is Mode.ENFORCE and not advice
        return Patience(
            until=min(self._clock.monotonic() + wait, deadline - LAST_LOOK),
            asks=not request.dry_run,
            waits=urgent and not request.dry_run,
            only_first=system,
            lane=Lane.ADMISSION if urgent else Lane.PREWARM,
        )

    async def _learn(self, images: list[Image], patience: Patience, deadline: float) -> list[Note]:
        if len(images) == 1:
            learned = [await self._learn_in_time(images[0], patience, deadline)]
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._learn_in_time(image, patience, deadline))
                    for image in images
                ]
            learned = [task.result() for task in tasks]
        now = self._clock.now()
        return [note(judgement, now) for judgement in learned]

    async def _learn_in_time(self, image: Image, patience: Patience, deadline: float) -> Judgement:
        """Whatever hangs below, the review is answered: the last guard, not the usual way."""
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


def _refusal(state: State, message: str, shapes: Sequence[Shape] = ()) -> Decision:
    images = dict.fromkeys(written[:MAX_TEXT] for written, _ in shapes)
    return Decision(
        False,
        state,
        code=403,
        message=shown(message, FIRST_LINE),
        audit={"decision": str(state)},
        images=tuple(images)[:MAX_IMAGES],
    )
