"""`POST /mutate`: pins what a pod would run, and never denies (docs/design/behaviour.md 1).

Whatever cannot be pinned is left as it is: /validate judges the pod that comes of it. Workloads are
pinned only where a rule or the setting says so, and then to what a tag names now: a pod is made
again, a workload would keep a digest from before for good.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import partial

import msgspec

from services.webhook.catalogue import Image
from services.webhook.images import Case, Shape, cases_of, shape_of
from services.webhook.lines import within_budget
from services.webhook.objects import is_advice, places_to_judge
from services.webhook.occasions import Occasions
from services.webhook.outlook import Outlook
from services.webhook.pinning import Foresee, Pin, Pinning
from services.webhook.terms import Terms
from services.webhook.wording import pinned_long_ago, pinned_to_the_one_before
from shared.domain.errors import InvalidObject
from shared.domain.reference import ImageReference
from shared.domain.review import AdmissionRequest, AdmissionResponse
from shared.domain.scope import RuleBook, Scope
from shared.domain.workload import ImagePlace
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

PIN_WAIT = 0.5
"""Seconds that a pod waits for registries, however many images it has."""

LAST_LOOK = 0.1
"""Seconds kept at the end of a call for the last look and the answer."""

MAX_WARNINGS = 4
"""The part that /validate leaves: the API server keeps 4 096 characters of both together."""
DEFAULT_TERMS = Terms()


class Pinned(StrEnum):
    """What became of a call to /mutate."""

    PINNED = "pinned"
    """Every tag."""
    PARTLY = "partly"
    LEFT = "left"
    """There were tags, and none could be pinned."""
    NOTHING = "nothing"
    """There was no tag to pin, or none is to be pinned here."""
    ERROR = "error"
    """We failed, and left the pod as it is."""


class Replace(msgspec.Struct, frozen=True):
    """An operation of a JSON Patch (RFC 6902)."""

    path: str
    value: str
    op: str = "replace"


class Mutation(msgspec.Struct, frozen=True):
    """What is changed of an object."""

    pinned: Pinned
    operations: tuple[Replace, ...] = ()
    warnings: tuple[str, ...] = ()
    earlier: int = 0
    """Images that are pinned to the digest before their tag moved."""


NOTHING = Mutation(Pinned.NOTHING)


class Mutate:
    """Pins the images that a Pod would start, or a workload have its pods start."""

    def __init__(
        self,
        *,
        pinning: Pinning,
        outlook: Outlook,
        occasions: Occasions,
        clock: Clock,
        terms: Terms = DEFAULT_TERMS,
        wait: float = PIN_WAIT,
        on_mutated: Callable[[Mutation, float], None] = lambda mutation, seconds: None,
    ) -> None:
        """`wait` in seconds; `on_mutated` is told of each call and its seconds."""
        self._pinning = pinning
        self._outlook = outlook
        self._occasions = occasions
        self._clock = clock
        self._terms = terms
        self._wait = wait
        self._on_mutated = on_mutated

    async def answer(
        self, request: AdmissionRequest, *, began: float, deadline: float
    ) -> AdmissionResponse:
        """The response, in any case one that allows; times are monotonic seconds."""
        try:
            async with asyncio.timeout(deadline - self._clock.monotonic()):
                mutation = await self.mutate(request, deadline=deadline)
        except TimeoutError:
            log.warning("review %s took too long: nothing is pinned", request.uid)
            mutation = Mutation(Pinned.ERROR)
        except Exception:
            log.exception("review %s failed: nothing is pinned", request.uid)
            mutation = Mutation(Pinned.ERROR)
        self._on_mutated(mutation, self._clock.monotonic() - began)
        operations = mutation.operations
        return AdmissionResponse(
            uid=request.uid,
            allowed=True,
            warnings=mutation.warnings,
            patch=msgspec.json.encode(operations) if operations else b"",
            patch_type="JSONPatch" if operations else "",
        )

    async def mutate(self, request: AdmissionRequest, *, deadline: float) -> Mutation:
        """What is to be changed, before `deadline` (monotonic seconds)."""
        workload = is_advice(request)
        try:
            places = places_to_judge(request)
            if not places:
                return NOTHING
            scope, book = await self._occasions.scope(request)
        except InvalidObject:  # what /validate refuses
            return NOTHING
        tags = self._tags(places, scope, book, workload=workload)
        if not tags:
            return NOTHING
        pins = await self._find(
            _strictest(tags.values()),
            until=min(self._clock.monotonic() + self._wait, deadline - LAST_LOOK),
            asks=not request.dry_run,
            foresee=None if workload else partial(self._outlook.of, scope=scope, book=book),
        )
        return self._mutation(places, tags, pins)

    def _tags(
        self, places: Sequence[ImagePlace], scope: Scope, book: RuleBook, *, workload: bool
    ) -> dict[Shape, Image]:
        """The images that are named by a tag, and that some rule would have pinned."""
        now = self._clock.now()
        tags: dict[Shape, Image] = {}
        for shape in dict.fromkeys(map(shape_of, places)):
            cases = cases_of(shape, scope, book.rules, scanner=self._terms.scanner, now=now)
            for case in cases:
                if not isinstance(case, Case) or case.image.reference.digest is not None:
                    continue
                if self._terms.pins(case.rule, workload=workload):
                    tags.setdefault(shape, case.image)
        return tags

    async def _find(
        self,
        wanted: Mapping[ImageReference, Image],
        *,
        until: float,
        asks: bool,
        foresee: Foresee | None,
    ) -> dict[ImageReference, Pin | None]:
        """Each reference once, side by side: all of a pod that name it get the same digest."""
        pin = partial(self._pinning.pin, until=until, asks=asks, foresee=foresee)
        async with asyncio.TaskGroup() as group:
            tasks = {
                reference: group.create_task(pin(image)) for reference, image in wanted.items()
            }
        return {reference: task.result() for reference, task in tasks.items()}

    def _mutation(
        self,
        places: Sequence[ImagePlace],
        tags: Mapping[Shape, Image],
        pins: Mapping[ImageReference, Pin | None],
    ) -> Mutation:
        now = self._clock.now()
        operations = []
        for place in places:
            image = tags.get(shape_of(place))
            pin = pins[image.reference] if image else None
            if pin is not None:
                operations.append(Replace(path=place.pointer, value=str(pin.reference)))
        found = [(str(reference), pin) for reference, pin in pins.items() if pin]
        earlier = [pinned_to_the_one_before(tag, pin.instead) for tag, pin in found if pin.instead]
        old = [pinned_long_ago(tag, pin.asked_at, now) for tag, pin in found if pin.old]
        pinned = Pinned.PINNED if all(pins.values()) else Pinned.PARTLY
        return Mutation(
            pinned if operations else Pinned.LEFT,
            tuple(operations),
            within_budget([*earlier, *old], most=MAX_WARNINGS),
            earlier=len(earlier),
        )


def _strictest(images: Iterable[Image]) -> dict[ImageReference, Image]:
    """One image for each reference, with the strictest pull policy that stands beside it."""
    strictest: dict[ImageReference, Image] = {}
    for image in images:
        if image.always or image.reference not in strictest:
            strictest[image.reference] = image
    return strictest
