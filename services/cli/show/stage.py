"""The show itself: each pod is reviewed until it is decided, then once more.

Knows small protocols only: who answers reviews, what is in the store, what went on behind.
Prints nothing; it tells an `Audience` what happens while it happens.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from services.cli.reviews import Reviewed
from services.cli.show.images import ShowImage, dockerfile_of
from services.cli.show.outcomes import Outcome, Result, Traffic, Warmed
from services.cli.show.pods import review_of_image
from services.console.rows import VerdictRow
from shared.ports.clock import Clock

ASK_AGAIN = 0.3
"""Seconds between two reviews of a pod that is not decided yet."""

WARM_LOOK = 0.05
"""Seconds between two looks for the verdict of a pushed image."""


class Webhook(Protocol):
    """Answers reviews."""

    url: str

    async def create(self, review: Mapping[str, Any]) -> Reviewed:
        """What becomes of the new object of an AdmissionReview."""


class Store(Protocol):
    """What is known of images."""

    async def verdicts(self, *, limit: int) -> tuple[VerdictRow, ...]:
        """The records about images, the newest first."""


class Scans(Protocol):
    """`imagegate scan`, as far as the show needs it."""

    async def start(self, image: str, *, dockerfile: bytes | None) -> object:
        """Have `image` judged, with a Dockerfile if there is one."""


class Intake(Protocol):
    """Hears of pushes."""

    async def pushed(self, image: ShowImage, digest: str) -> None:
        """`image` was pushed with this digest."""


class Meter(Protocol):
    """Reads the counters."""

    async def traffic(self) -> Traffic:
        """All counters since the processes started."""


class Audience(Protocol):
    """Hears what happens."""

    def sent_dockerfile(self, image: ShowImage) -> None:
        """The image's Dockerfile went to the scanner."""

    def answered(self, image: ShowImage, reviewed: Reviewed) -> None:
        """An answer came, final or not."""

    def decided(self, outcome: Outcome) -> None:
        """A pod was decided for the first time."""

    def warmed(self, warmed: Warmed) -> None:
        """An image was judged before anybody asked, and then asked about."""


class Stage:
    """Runs the show against one or more webhooks, each asked in turn."""

    def __init__(
        self,
        *,
        webhooks: Sequence[Webhook],
        store: Store,
        scans: Scans,
        intake: Intake,
        digests: Mapping[str, str],
        meter: Meter,
        registry: str,
        audience: Audience,
        clock: Clock,
        patience: float = 120.0,
        again_after: float = ASK_AGAIN,
    ) -> None:
        """`registry` is `host:port`, `digests` what was pushed there by `path:tag`; `patience` is
        how long (s) a pod may stay undecided, `again_after` (s) lies between two reviews of it.
        """
        self._webhooks = itertools.cycle(webhooks)
        self._store = store
        self._scans = scans
        self._intake = intake
        self._digests = digests
        self._meter = meter
        self._registry = registry
        self._audience = audience
        self._clock = clock
        self._patience = patience
        self._again_after = again_after

    async def run(self, images: Sequence[ShowImage]) -> Result:
        """The whole show; all pods are created at once, as a rollout would.

        After them comes what is pushed meanwhile.
        """
        before = await self._meter.traffic()
        known = {row.image for row in await self._store.verdicts(limit=1000)}
        for image in images:
            if image.dockerfile:
                reference = f"{self._registry}/{image.reference}"
                await self._scans.start(reference, dockerfile=dockerfile_of(image))
                self._audience.sent_dockerfile(image)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._until_decided(image, known))
                for image in images
                if not image.warmed
            ]
        outcomes = [await self._once_more(task.result()) for task in tasks]
        warmed = [await self._warm(image) for image in images if image.warmed]
        after = await self._meter.traffic()
        own = {f"{self._registry}/{image.reference}" for image in images}
        verdicts = await self._store.verdicts(limit=1000)
        return Result(
            tuple(outcomes),
            tuple(warmed),
            after.since(before),
            tuple(row for row in verdicts if row.image in own),
        )

    async def _until_decided(self, image: ShowImage, known: set[str]) -> Outcome:
        began = self._clock.monotonic()
        first = reviewed = await self._ask(image)
        asked = 1
        while reviewed.answer.pending and self._clock.monotonic() - began < self._patience:
            await asyncio.sleep(self._again_after)
            reviewed = await self._ask(image)
            asked += 1
        outcome = Outcome(
            image=image,
            first=first,
            final=reviewed,
            asked=asked,
            seconds=self._clock.monotonic() - began,
            known_before=f"{self._registry}/{image.reference}" in known,
        )
        self._audience.decided(outcome)
        return outcome

    async def _once_more(self, outcome: Outcome) -> Outcome:
        return msgspec.structs.replace(outcome, again=await self._ask(outcome.image))

    async def _warm(self, image: ShowImage) -> Warmed:
        """Its push event, its verdict, and only then the first review with it."""
        began = self._clock.monotonic()
        await self._intake.pushed(image, self._digests[image.reference])
        for _ in range(round(self._patience / WARM_LOOK)):
            if await self._judged(image):
                break
            await asyncio.sleep(WARM_LOOK)
        seconds = self._clock.monotonic() - began
        reviewed = await next(self._webhooks).create(
            review_of_image(image, registry=self._registry)
        )
        warmed = Warmed(image=image, seconds=seconds, first=reviewed)
        self._audience.warmed(warmed)
        return warmed

    async def _judged(self, image: ShowImage) -> bool:
        rows = await self._store.verdicts(limit=1000)
        return any(row.image == f"{self._registry}/{image.reference}" for row in rows)

    async def _ask(self, image: ShowImage) -> Reviewed:
        review = review_of_image(image, registry=self._registry)
        reviewed = await next(self._webhooks).create(review)
        self._audience.answered(image, reviewed)
        return reviewed
