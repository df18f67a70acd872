"""Asking registries: what a tag names now, and which manifests a request is about.

Only a worker moves a pointer, and only to what the registry answered, ordered by the time the
registry was asked (docs/design/behaviour.md 2, docs/design/protocol.md).
"""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

import msgspec

from services.worker.ledger import Ledger
from services.worker.platforms import JudgedPlatforms
from services.worker.previous import Previous, Previously
from shared.domain.errors import NotAnImage, PermanentFailure, TransientFailure
from shared.domain.latest import Latest
from shared.domain.pointer import DAY, YOUNG, Index, Pointer
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Rules
from shared.domain.verdict import Subject
from shared.ports.clock import Clock
from shared.ports.resolver import DigestResolver, Resolved

RENEW_INDEX = DAY

MAX_READ = 10_000
"""Manifests that this process remembers to have read."""


class Pointing:
    """Turns references into manifests, and writes down what registries said on the way."""

    def __init__(
        self,
        *,
        resolver: DigestResolver,
        ledger: Ledger,
        rules: Callable[[], Rules],
        clock: Clock,
        platforms: JudgedPlatforms | None = None,
    ) -> None:
        """`platforms`: those for which images are judged; None: as the rules say."""
        self._resolver = resolver
        self._previously = Previously(resolver=resolver)
        self._ledger = ledger
        self._clock = clock
        self._platforms = platforms or JudgedPlatforms(ledger=ledger, rules=rules, clock=clock)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._read = Latest[tuple[str, str], None](MAX_READ)

    async def point(self, reference: ImageReference) -> Pointer:
        """Ask the registry what the tag names; write and return the pointer.

        An answer that is final (not found, unauthorised, refused, an index that cannot be
        believed) is a pointer too: the tag no longer stands for what it named before. Raises
        TransientFailure, and then moves nothing.
        """
        pointer, _ = await self._ask(reference)
        return pointer

    async def subjects(self, reference: ImageReference, *, announced: str = "") -> list[Subject]:
        """The manifests that a verdict is needed of; empty where the registry's word is final.

        A tag counts only where a worker saw it name the digest: one that lies is dropped. What a
        push `announced` is not asked for once more where the registry said so a moment ago.
        Raises TransientFailure, PermanentFailure for a reference with a digest, and NotAnImage.
        """
        pointer, refusal = None, None
        if reference.tag:
            pointer, refusal = await self._last_word(reference, announced)
        if reference.digest is None:
            if isinstance(refusal, NotAnImage):
                raise refusal
            if pointer is None or pointer.digest is None:
                return []
            return await self._manifests(reference, pointer.digest, pointer.is_index)
        if pointer is not None and pointer.digest == reference.digest:
            return await self._manifests(reference, reference.digest, pointer.is_index)
        digest = reference.digest
        by_digest = msgspec.structs.replace(reference, tag=None)
        if pointer is None or pointer.previous != reference.digest:
            reference = by_digest
        known = await self._ledger.index(digest)
        is_index = known is not None or (await self._resolver.resolve(by_digest)).is_index
        return await self._manifests(reference, digest, is_index)

    async def lags(self, reference: ImageReference, announced: str) -> bool:
        """Whether the tag, as the registry said it last, does not name the announced digest."""
        pointer = await self._ledger.pointer(reference)
        return pointer is None or pointer.digest != announced

    async def named(self, subject: Subject) -> bool:
        """Whether a registry was seen to say that the subject's tag names its digest, or an index
        that holds it; True without a tag, which nobody need have seen."""
        if subject.tag is None:
            return True
        reference = parse_reference(f"{subject.repository}:{subject.tag}")
        if (reference.repository, reference.tag) != (subject.repository, subject.tag):
            return False
        pointer = await self._ledger.pointer(reference)
        for digest in (pointer.digest, pointer.previous) if pointer else ():
            if digest == subject.digest:
                return True
            index = await self._ledger.index(digest) if digest else None
            if index and any(entry.digest == subject.digest for entry in index.manifests):
                return True
        return False

    async def read(self, subject: Subject) -> None:
        """Read the manifest whole, unless this process has: what a scanner and a runtime could read
        in two ways is neither submitted nor judged (docs/design/registry.md, "One meaning"). Raises
        StepFailure."""
        name = (subject.repository, subject.digest)
        if name not in self._read:
            reference = parse_reference(f"{subject.repository}@{subject.digest}")
            await self._resolver.manifest(reference, subject.digest)
        self._read[name] = None

    async def _last_word(
        self, reference: ImageReference, announced: str
    ) -> tuple[Pointer, PermanentFailure | None]:
        """As `_asked`; while the registry is away what it said last, if a digest says what runs."""
        try:
            return await self._asked(reference, announced)
        except TransientFailure:
            known = await self._ledger.pointer(msgspec.structs.replace(reference, digest=None))
            if reference.digest is None or known is None:
                raise
            return known, None

    async def _asked(
        self, reference: ImageReference, announced: str
    ) -> tuple[Pointer, PermanentFailure | None]:
        """As `_ask`, once for all that is asked about one push: its steps come side by side."""
        if not announced:
            return await self._ask(reference)
        lock = self._locks.setdefault(reference.tagged, asyncio.Lock())
        async with lock:
            known = await self._ledger.pointer(msgspec.structs.replace(reference, digest=None))
            if known is None or known.digest != announced:
                return await self._ask(reference)
            if self._clock.now() < known.asked_at + YOUNG:
                return known, None
            return await self._ask(reference)

    async def _ask(self, reference: ImageReference) -> tuple[Pointer, PermanentFailure | None]:
        tagged = msgspec.structs.replace(reference, digest=None)
        asked_at = self._clock.now()
        before = await self._ledger.pointer(tagged)
        # Side by side: somebody may wait for this pointer.
        answer, previous = await asyncio.gather(
            self._answer(tagged, asked_at),
            self._previously.renewed(tagged, Previous.beside(before), asked_at),
        )
        if isinstance(answer, TransientFailure):
            raise answer
        pointer = _pointer(tagged, asked_at, answer, before)
        left = Previous.left(before, pointer.digest)
        if left is not None:
            previous = await self._previously.seen(tagged, left, asked_at)
        if previous is not None and previous.digest != pointer.digest:
            pointer = msgspec.structs.replace(
                pointer, previous=previous.digest, previous_seen_at=previous.seen_at
            )
        await self._ledger.write_pointer(pointer)
        return pointer, answer if isinstance(answer, PermanentFailure) else None

    async def _answer(
        self, tagged: ImageReference, asked_at: int
    ) -> Resolved | PermanentFailure | TransientFailure:
        """What the registry says of the tag."""
        try:
            resolved = await self._resolver.resolve(tagged)
            if resolved.is_index:
                await self._ensure_index(tagged, resolved.digest, asked_at)
        except (PermanentFailure, TransientFailure) as failure:
            return failure
        return resolved

    async def _manifests(
        self, reference: ImageReference, digest: str, is_index: bool
    ) -> list[Subject]:
        digests = [digest]
        if is_index:
            index = await self._ensure_index(reference, digest, self._clock.now())
            counted = index.counted(await self._platforms.now())
            digests = [entry.digest for entry in counted]
        unique = dict.fromkeys(digests)
        return [Subject(reference.repository, one, reference.tag) for one in unique]

    async def _ensure_index(self, reference: ImageReference, digest: str, asked_at: int) -> Index:
        """The index's record, written once a while: it never changes, but it ends."""
        known = await self._ledger.index(digest)
        if known is not None and asked_at - known.asked_at < RENEW_INDEX:
            return known
        try:
            index = await self._resolver.index(reference, digest, asked_at=asked_at)
        except TransientFailure:
            if known is None:
                raise
            return known
        await self._ledger.write_index(index)
        return index


def _pointer(
    tagged: ImageReference,
    asked_at: int,
    answer: Resolved | PermanentFailure,
    before: Pointer | None,
) -> Pointer:
    if isinstance(answer, PermanentFailure):
        return Pointer(tagged.tagged, asked_at, error=answer.kind, message=str(answer)[:512])
    named = before is not None and before.digest is not None
    return Pointer(
        tagged.tagged,
        asked_at,
        answer.digest,
        answer.is_index,
        known_since=before.known_since if before and named else asked_at,
    )
