"""A survey of what is in use: which verdicts are to be judged anew, and which renewed.

It reads the store's own records, so that whoever begins to lead knows at once what is left to do. A
use is somebody's word: nothing is asked for of which no signed verdict is known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from services.worker.in_use import InUse, Left, Round, Surveyed
from services.worker.ledger import Ledger
from shared.domain.errors import InvalidReference
from shared.domain.pointer import Index, Pointer, index_key, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision, revision_key
from shared.domain.rules import Rules
from shared.domain.verdict import Outcome, Verdict, last_error_key, unresolved, verdict_key
from shared.ports.clock import Clock
from shared.ports.usage import Usage, Use, Used

PAGE = 10
"""Uses that are looked at in one go: about 2 ms, most of it for their signatures."""

PAUSE = 0.01
"""Seconds between two pages: a thousand uses a second at most."""

MAX_QUESTIONS = 200
"""Questions that are followed; whoever may record uses can make some up."""

Record = TypeVar("Record", bound=msgspec.Struct)


class Surveyor:
    """Looks at all that is in use. Raises StoreError."""

    def __init__(
        self,
        *,
        usage: Usage,
        ledger: Ledger,
        rules: Callable[[], Rules],
        clock: Clock,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._usage = usage
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._pause = pause

    async def look(self) -> Surveyed:
        """Once at everything, the most recently used first."""
        found = Surveyed(self._clock.now())
        counted: set[str] = set()
        last: Used | None = None
        while page := await self._usage.recent(limit=PAGE, before=last):
            await self._look_at([used.use for used in page], found, counted)
            last = page[-1]
            await self._pause(PAUSE)
        found.settle()
        return found

    async def _look_at(self, uses: Sequence[Use], found: Surveyed, counted: set[str]) -> None:
        images = [image for use in uses if (image := self._image(use, found)) is not None]
        await self._read_revisions(images, found)
        await self._read_digests(images)
        await self._read_verdicts(images)
        left = [each for image in images if (each := image.weigh(found, counted)) is not None]
        for each, resting in zip(left, await self._resting(left), strict=True):
            if resting:
                found.resting += 1
            else:
                found.add(each)

    def _image(self, use: Use, found: Surveyed) -> InUse | None:
        """None of what is not to be asked about: whoever may record uses may write anything."""
        try:
            reference = parse_reference(use.reference)
        except InvalidReference:
            return None
        if not self._rules().allows_registry(reference.host):
            return None
        if use.question not in found.questions and len(found.questions) >= MAX_QUESTIONS:
            return None
        found.questions[use.question] = None
        return InUse(use, reference)

    async def _read_revisions(self, images: Sequence[InUse], found: Surveyed) -> None:
        asked = dict.fromkeys(image.use.question for image in images)
        new = [question for question in asked if question not in found.rounds]
        revisions = await self._read([revision_key(each) for each in new], Revision)
        for question, revision in zip(new, revisions, strict=True):
            if revision is not None:
                found.rounds[question] = Round(revision)

    async def _read_digests(self, images: Sequence[InUse]) -> None:
        """What each stands for, and where that is an index its manifests that count."""
        tagged = [image for image in images if not image.digest]
        pointers = await self._read([pointer_key(image.reference) for image in tagged], Pointer)
        for image, pointer in zip(tagged, pointers, strict=True):
            image.digest = (pointer.digest or "") if pointer is not None else ""
        named = [image for image in images if image.digest]
        indexes = await self._read([index_key(image.digest) for image in named], Index)
        platforms = self._rules().platforms
        for image, index in zip(named, indexes, strict=True):
            counted = [one.digest for one in index.counted(platforms)] if index else []
            image.manifests = tuple(dict.fromkeys(counted)) or (image.digest,)

    async def _read_verdicts(self, images: Sequence[InUse]) -> None:
        wanted = [(image, subject) for image in images for subject in image.subjects()]
        keys = [verdict_key(subject, image.use.question) for image, subject in wanted]
        for (image, _), verdict in zip(wanted, await self._read(keys, Verdict), strict=True):
            if verdict is not None and verdict.outcome is not Outcome.ERROR:
                image.take(verdict)

    async def _resting(self, left: Sequence[Left]) -> list[bool]:
        """Of each whether asking about it failed a moment ago: it is tried again by itself."""
        keys: list[list[str]] = []
        for each in left:
            asked = (*each.subjects, unresolved(parse_reference(each.use.reference)))
            keys.append([last_error_key(one, each.use.question) for one in asked])
        every = [key for some in keys for key in some]
        now = self._clock.now()
        failed = {
            key
            for key, error in zip(every, await self._read(every, Verdict), strict=True)
            if error is not None and not error.stale(now)
        }
        return [not failed.isdisjoint(some) for some in keys]

    async def _read(self, keys: Sequence[str], kind: type[Record]) -> list[Record | None]:
        records = await self._ledger.all(keys) if keys else []
        return [record if isinstance(record, kind) else None for record in records]
