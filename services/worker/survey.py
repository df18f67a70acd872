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
from services.worker.platforms import JudgedPlatforms
from shared.domain.errors import ErrorKind, InvalidReference
from shared.domain.platforms import NEW_FOR, Counted, Platforms, PlatformSeen
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


class ManifestsThatCount:
    """Which manifests of an index are judged, and which only for a platform that is new."""

    def __init__(self, platforms: Counted, record: Platforms | None, now: int) -> None:
        self._platforms = platforms
        seen = record.new if record is not None else ()
        self.new = {
            each.platform: each
            for each in seen
            if platforms is not None and now < each.since + NEW_FOR
        }
        """The new ones: what is in use is judged for them."""
        self._old = tuple(each for each in platforms or () if each not in self.new)

    def of(self, index: Index) -> tuple[tuple[str, ...], dict[str, PlatformSeen]]:
        """The manifests that count, each once; of these those that are new, with the platform."""
        counted = index.counted(self._platforms)
        old = {each.digest for each in index.counted(self._old)} if self.new else set()
        new = {
            entry.digest: seen
            for seen in self.new.values()
            for entry in index.counted((seen.platform,))
            if entry.digest not in old
        }
        return tuple(dict.fromkeys(entry.digest for entry in counted)), new


class Surveyor:
    """Looks at all that is in use. Raises StoreError."""

    def __init__(
        self,
        *,
        usage: Usage,
        ledger: Ledger,
        rules: Callable[[], Rules],
        clock: Clock,
        platforms: JudgedPlatforms | None = None,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`platforms`: those for which images are judged; None: as the rules say."""
        self._usage = usage
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._platforms = platforms or JudgedPlatforms(ledger=ledger, rules=rules, clock=clock)
        self._pause = pause

    async def look(self) -> Surveyed:
        """Once at everything, the most recently used first."""
        found = Surveyed(self._clock.now())
        record = await self._platforms.record()
        manifests = ManifestsThatCount(await self._platforms.now(), record, found.at)
        found.new_asked = record is not None and bool(record.new)
        found.new = dict.fromkeys(manifests.new, 0)
        counted: set[str] = set()
        last: Used | None = None
        while page := await self._usage.recent(limit=PAGE, before=last):
            uses = [used.use for used in page]
            await self._look_at(uses, manifests, found, counted)
            last = page[-1]
            await self._pause(PAUSE)
        found.settle()
        return found

    async def _look_at(
        self,
        uses: Sequence[Use],
        manifests: ManifestsThatCount,
        found: Surveyed,
        counted: set[str],
    ) -> None:
        images = [image for use in uses if (image := self._image(use, found)) is not None]
        await self._read_revisions(images, found)
        await self._read_digests(images, manifests)
        await self._read_verdicts(images)
        left = [each for image in images if (each := image.weigh(found, counted)) is not None]
        for each, errors in zip(left, await self._resting(left), strict=True):
            if errors:
                found.rests(each, passing=ErrorKind.TRANSIENT in errors)
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

    async def _read_digests(self, images: Sequence[InUse], manifests: ManifestsThatCount) -> None:
        """What each stands for, and where that is an index its manifests that count."""
        tagged = [image for image in images if not image.digest]
        pointers = await self._read([pointer_key(image.reference) for image in tagged], Pointer)
        for image, pointer in zip(tagged, pointers, strict=True):
            image.digest = (pointer.digest or "") if pointer is not None else ""
        named = [image for image in images if image.digest]
        indexes = await self._read([index_key(image.digest) for image in named], Index)
        for image, index in zip(named, indexes, strict=True):
            if index is not None:
                image.manifests, image.new = manifests.of(index)
            image.manifests = image.manifests or (image.digest,)

    async def _read_verdicts(self, images: Sequence[InUse]) -> None:
        wanted = [(image, subject) for image in images for subject in image.subjects()]
        keys = [verdict_key(subject, image.use.question) for image, subject in wanted]
        for (image, _), verdict in zip(wanted, await self._read(keys, Verdict), strict=True):
            if verdict is not None and verdict.outcome is not Outcome.ERROR:
                image.take(verdict)

    async def _resting(self, left: Sequence[Left]) -> list[set[ErrorKind]]:
        """How asking about each failed a moment ago, if it did: it is tried again by itself."""
        keys: list[list[str]] = []
        for each in left:
            asked = (*each.subjects, unresolved(parse_reference(each.use.reference)))
            keys.append([last_error_key(one, each.use.question) for one in asked])
        every = [key for some in keys for key in some]
        now = self._clock.now()
        failed = {
            key: error.error
            for key, error in zip(every, await self._read(every, Verdict), strict=True)
            if error is not None and error.error is not None and not error.stale(now)
        }
        return [{failed[key] for key in some if key in failed} for some in keys]

    async def _read(self, keys: Sequence[str], kind: type[Record]) -> list[Record | None]:
        records = await self._ledger.all(keys) if keys else []
        return [record if isinstance(record, kind) else None for record in records]
