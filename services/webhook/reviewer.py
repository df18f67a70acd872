"""One review: which images, what is known of each, the decision.

Knows ports and the domain only. Who waits, and how long: docs/design/behaviour.md 1.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from services.webhook.answers import FIRST_LINE, Note, decide, note, shown
from services.webhook.catalogue import Image
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.recent import Recent
from shared.domain.decision import Decision, Judgement, State
from shared.domain.errors import InvalidObject, InvalidReference
from shared.domain.reference import parse_reference
from shared.domain.review import AdmissionRequest
from shared.domain.rules import Mode, Rules
from shared.domain.step import Lane
from shared.domain.workload import ImagePlace, changed_places, decode_pod, image_places
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

LAST_LOOK = 0.25
"""Seconds kept at the end of a review for the last look and the answer."""


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
    ) -> None:
        self._knowledge = knowledge
        self._rules = rules
        self._clock = clock
        self._waits = waits
        self._scanner = scanner
        self._recent = Recent(clock=clock)

    async def review(self, request: AdmissionRequest, *, deadline: float) -> Decision:
        """Allow or deny, before `deadline` (monotonic seconds)."""
        rules = self._rules()
        try:
            places = _places_to_judge(request)
        except InvalidObject as error:
            return _refusal(State.INVALID, str(error))
        if places and rules.default.mode is Mode.DENY:
            return _refusal(State.REFUSED, f"rule {rules.default.name} denies every image")
        return decide(
            await self._judge(places, request, rules, deadline),
            rule=rules.default,
            now=self._clock.now(),
            by_system=_is_system(request),
            dry_run=bool(request.dry_run),
        )

    async def _judge(
        self,
        places: Sequence[ImagePlace],
        request: AdmissionRequest,
        rules: Rules,
        deadline: float,
    ) -> list[Note]:
        notes: dict[tuple[str, bool], Note] = {}
        unknown: dict[tuple[str, bool], Image] = {}
        for place in places:
            key = (place.image, place.pull_policy not in ("IfNotPresent", "Never"))
            if key in notes or key in unknown:
                continue
            known = self._recent.get(key, rules=rules) or self._glance(key, rules)
            if isinstance(known, Image):
                unknown[key] = known
            else:
                notes[key] = known
        if unknown:
            patience = self._patience(request, rules, deadline)
            learned = await self._learn(list(unknown.values()), patience, deadline)
            now = self._clock.now()
            return [*notes.values(), *(note(judgement, now) for judgement in learned)]
        return list(notes.values())

    def _glance(self, key: tuple[str, bool], rules: Rules) -> Note | Image:
        """What is known at once of an image, or what has to be learned."""
        image = self._image(*key, rules)
        if isinstance(image, Judgement):
            return note(image, self._clock.now())
        glimpse = self._knowledge.glance(image)
        return image if glimpse is None else self._recent.keep(key, glimpse, rules=rules)

    def _image(self, written: str, always: bool, rules: Rules) -> Image | Judgement:
        """The image to look up, or a judgement that needs no look-up."""
        try:
            reference = parse_reference(written)
        except InvalidReference as error:
            return Judgement(image=written, state=State.INVALID, message=str(error))
        if not rules.allows_registry(reference.host):
            message = f"registry {reference.host} is not in allowRegistries of the rules"
            return Judgement(
                image=written, state=State.REFUSED, message=message, reference=reference
            )
        if rules.default.mode is Mode.ALLOW:
            return Judgement(image=written, state=State.EXEMPT, reference=reference)
        question = rules.question(scanner=self._scanner)
        return Image(written, reference, always, question)

    def _patience(self, request: AdmissionRequest, rules: Rules, deadline: float) -> Patience:
        system = _is_system(request)
        wait = self._waits.system if system else self._waits.person
        enforced = rules.default.mode is Mode.ENFORCE
        return Patience(
            until=min(self._clock.monotonic() + wait, deadline - LAST_LOOK),
            asks=not request.dry_run,
            waits=enforced and not request.dry_run,
            only_first=system,
            lane=Lane.ADMISSION if enforced else Lane.PREWARM,
        )

    async def _learn(
        self, images: list[Image], patience: Patience, deadline: float
    ) -> list[Judgement]:
        if len(images) == 1:
            return [await self._learn_in_time(images[0], patience, deadline)]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._learn_in_time(image, patience, deadline))
                for image in images
            ]
        return [task.result() for task in tasks]

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


def _places_to_judge(request: AdmissionRequest) -> list[ImagePlace]:
    """The images that this request would start; raises InvalidObject."""
    kind = request.kind
    if (kind.group, kind.version, kind.kind) != ("", "v1", "Pod"):
        raise InvalidObject(
            f"imagegate does not judge {kind.kind[:64]!r} of {kind.group[:64]!r} "
            f"{kind.version[:16]!r}: take it out of the webhook's rules"
        )
    if request.operation == "DELETE":
        return []
    if request.operation not in ("CREATE", "UPDATE"):
        raise InvalidObject(
            f"imagegate does not judge the operation {request.operation[:32]!r}: "
            "take it out of the webhook's rules"
        )
    places = image_places(decode_pod(request.object))
    if request.operation == "UPDATE":
        places = changed_places(places, image_places(decode_pod(request.old_object)))
    return places


def _is_system(request: AdmissionRequest) -> bool:
    return request.user_info.username.startswith("system:")


def _refusal(state: State, message: str) -> Decision:
    return Decision(
        False,
        state,
        code=403,
        message=shown(message, FIRST_LINE),
        audit={"decision": str(state)},
    )
