"""An operator's scan: have an image judged before anybody runs it, and see what came of it.

A Dockerfile goes to the scanner here and now; the queue carries references only.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from services.webhook.catalogue import Image, Need
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.near_cache import NearCache
from services.webhook.requests import Asked, Requests
from shared.domain.decision import Judgement, State
from shared.domain.errors import ErrorKind, PermanentFailure, QueueUnavailable, StoreUnreachable
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.domain.verdict import Subject
from shared.domain.why import Why
from shared.ports.clock import Clock
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner

MAX_DOCKERFILE = 256 * 1024
NOTHING = "nothing was queued; `imagegate status` says what is wrong"


class ScanStarted(msgspec.Struct, frozen=True):
    """What was asked for."""

    image: str
    under_way: bool
    """Somebody asked before."""
    submitted: tuple[str, ...] = ()
    """The digests that were handed to the scanner with the Dockerfile."""


class ImageState(msgspec.Struct, frozen=True):
    """What is known of an image now."""

    image: str
    state: State
    message: str = ""
    digests: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    known_at: int = 0
    """When the oldest verdict it rests on was made, or the registry was asked (ms)."""


class ScansView(Protocol):
    """What the command asks. Errors: ImagegateError."""

    async def start(self, image: str, *, dockerfile: bytes | None) -> ScanStarted:
        """Have `image` judged."""

    async def state(self, image: str) -> ImageState:
        """What is known of it; asks for nothing."""


class Scans:
    """`ScansView` on the ports."""

    def __init__(
        self,
        *,
        knowledge: Knowledge,
        cache: NearCache,
        requests: Requests,
        resolver: DigestResolver,
        scanner: Scanner,
        rules: Callable[[], Rules],
        clock: Clock,
        scanner_name: str = "anchore",
    ) -> None:
        self._knowledge = knowledge
        self._cache = cache
        self._requests = requests
        self._resolver = resolver
        self._scanner = scanner
        self._rules = rules
        self._clock = clock
        self._scanner_name = scanner_name

    async def start(self, image: str, *, dockerfile: bytes | None) -> ScanStarted:
        """Submit with the Dockerfile if there is one, then queue the request of an operator."""
        wanted = self._image(image)
        submitted: tuple[str, ...] = ()
        if dockerfile is not None:
            submitted = await self._submit(wanted, dockerfile)
        asked = await self._requests.ask(wanted, Need.REQUEST, lane=Lane.PREWARM, why=Why.OPERATOR)
        if asked is Asked.STORE_DOWN:
            raise StoreUnreachable(f"the verdict store does not answer: {NOTHING}")
        if asked is Asked.QUEUE_DOWN:
            raise QueueUnavailable(f"the queue takes no request: {NOTHING}")
        return ScanStarted(str(wanted.reference), asked is Asked.UNDER_WAY, submitted)

    async def state(self, image: str) -> ImageState:
        """One look-up, as a review's, that neither asks nor waits."""
        patience = Patience(until=self._clock.monotonic(), asks=False, waits=False)
        wanted = self._image(image)
        # An operator wants the store's word, not what was read some seconds ago.
        self._cache.gap()
        judgement = await self._knowledge.learn(wanted, patience)
        times = [verdict.evaluated_at for verdict in judgement.verdicts]
        known_at = min(times) if times else await self._asked_at(wanted.reference)
        return _state_of(judgement, known_at)

    async def _asked_at(self, reference: ImageReference) -> int:
        """When the registry was last asked about the tag (ms); 0 when it was not."""
        if reference.tag is None:
            return 0
        key = pointer_key(msgspec.structs.replace(reference, digest=None))
        pointer = (await self._cache.read((key,))).records[0]
        return pointer.asked_at if isinstance(pointer, Pointer) else 0

    def _image(self, text: str) -> Image:
        reference = parse_reference(text)
        question = self._rules().default.question(scanner=self._scanner_name)
        return Image(text, reference, always=False, question=question)

    async def _submit(self, image: Image, dockerfile: bytes) -> tuple[str, ...]:
        if len(dockerfile) > MAX_DOCKERFILE:
            raise PermanentFailure(
                f"the Dockerfile is larger than {MAX_DOCKERFILE} bytes", kind=ErrorKind.REFUSED
            )
        digests = await self._manifests(image.reference)
        await asyncio.gather(*(self._submit_one(image, digest, dockerfile) for digest in digests))
        return digests

    async def _submit_one(self, image: Image, digest: str, dockerfile: bytes) -> None:
        reference, question = image.reference, image.question
        subject = Subject(reference.repository, digest, reference.tag)
        # As a worker does: what could be read in two ways is not submitted.
        await self._resolver.manifest(reference, digest)
        await self._scanner.submit(subject, question, dockerfile=dockerfile)

    async def _manifests(self, reference: ImageReference) -> tuple[str, ...]:
        """The image's digest, or those of the manifests that count in the cluster."""
        found = await self._resolver.resolve(reference)
        if not found.is_index:
            return (found.digest,)
        index = await self._resolver.index(reference, found.digest, asked_at=self._clock.now())
        counted = index.counted(self._rules().platforms)
        if not counted:
            raise PermanentFailure(
                f"{reference} has no manifest for {', '.join(self._rules().platforms)}",
                kind=ErrorKind.NOT_FOUND,
            )
        return tuple(entry.digest for entry in counted)


def _state_of(judgement: Judgement, known_at: int) -> ImageState:
    verdicts = judgement.verdicts
    return ImageState(
        image=str(judgement.reference or judgement.image),
        state=judgement.state,
        message=judgement.message or next((v.message for v in verdicts if v.message), ""),
        digests=tuple(verdict.subject.digest for verdict in verdicts),
        findings=tuple(
            f"{finding.action}: {finding.message} ({finding.gate}/{finding.trigger})"
            for verdict in verdicts
            for finding in (*verdict.stops, *verdict.warns)
        ),
        known_at=known_at,
    )
