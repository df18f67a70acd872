"""The images: submitted, listed, looked at.

Differences from Engine are deliberate and listed in docs/design/scanner.md.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from services.scanner.analysis.analyses import Analyses
from services.scanner.analysis.manifest import is_index, read_manifest
from services.scanner.records import AnalysisFailed, AnalysisStatus, Event, EventType, Image
from services.scanner.store import events, images, queue
from services.scanner.store.database import Database
from services.scanner.v1.refusals import Refusal, registry_refusal
from services.scanner.v1.wire import deletion
from shared.domain.errors import InvalidReference, StepFailure
from shared.domain.reference import ImageReference, parse_reference
from shared.ports.clock import Clock
from shared.ports.content import ImageContent
from shared.ports.resolver import DigestResolver

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Submission(msgspec.Struct, frozen=True):
    """What POST /v1/images asks for."""

    fulltag: str
    digest: str | None = None
    dockerfile: bytes | None = None
    annotations: dict[str, str] = {}
    force: bool = False


class Catalogue:
    """The images and what is known of them."""

    def __init__(
        self,
        *,
        database: Database,
        analyses: Analyses,
        resolver: DigestResolver,
        content: ImageContent,
        clock: Clock,
        registry_seconds: float,
    ) -> None:
        self._database = database
        self._analyses = analyses
        self._resolver = resolver
        self._content = content
        self._clock = clock
        self._registry_seconds = registry_seconds

    async def submit(self, submission: Submission) -> Image:
        """Have an image analysed; repeating it is safe. Raises Refusal."""
        reference = read_tag(submission.fulltag)
        digest = submission.digest
        if digest is not None and not _DIGEST.fullmatch(digest):
            raise Refusal(400, "the digest must be sha256: and 64 lower-case hex digits")
        known = await self._find(digest) if digest else None
        if known and any(tag.fulltag == reference.tagged for tag in known.tags):
            digest, image_id = known.digest, known.image_id
        else:
            digest, image_id = await self._ask_registry(reference, digest)
        image = await self._database.run(
            _write,
            submission,
            digest=digest,
            image_id=image_id,
            reference=reference,
            now=self._clock.now(),
        )
        self._analyses.wake()
        return image

    async def image(self, digest: str) -> Image:
        """The record of a digest, which is used by this. Raises Refusal (404)."""
        image = await self._find(digest)
        if image is None:
            raise Refusal(404, "image not found in DB")
        return image

    async def image_of_tag(self, digest: str, tag: str) -> tuple[Image, str]:
        """The record of a digest, and the full tag it was submitted under. Raises Refusal (404)
        for any other tag, where Engine would take anybody's word for it."""
        image, reference = await self.image(digest), read_tag(tag)
        if all(one.fulltag != reference.tagged for one in image.tags):
            raise Refusal(404, f"{digest} was not submitted under the tag {reference.tagged}")
        return image, reference.tagged

    async def analysed(self, digest: str) -> Image:
        """The record of an image of which something is known. Raises Refusal (404)."""
        image = await self.image(digest)
        if image.status is not AnalysisStatus.ANALYZED:
            raise Refusal(404, f"image is not analyzed - analysis_status: {image.status}")
        return image

    async def of_id(self, image_id: str) -> list[Image]:
        """The records of a config's digest, the newest first. Raises Refusal (404)."""
        found = await self._database.run(images.of_id, image_id.removeprefix("sha256:"))
        if not found:
            raise Refusal(404, "image not found in DB")
        return found

    async def newest(self, fulltag: str) -> Image:
        """The newest of a tag. Raises Refusal (404) for a tag that is not known."""
        newest = await self._database.run(images.newest_of_tag, read_tag(fulltag).tagged)
        if newest is None:
            raise Refusal(404, "image data not found in DB")
        return newest

    async def pages(self, status: AnalysisStatus | None) -> AsyncIterator[list[Image]]:
        """All images, the newest first, never more than a page of them at once."""
        last: Image | None = None
        while page := await self._database.run(images.page, after=last, status=status):
            last = page[-1]
            yield page

    async def delete(self, digest: str, *, force: bool) -> dict[str, Any]:
        """Forget an image; what came of it, in Engine's shape. What is being analysed, or is the
        newest of a tag, goes with `force` only."""
        found, problem = await self._database.run(_delete, digest, force=force)
        return deletion(digest, problem, found=found)

    async def events(
        self, *, kinds: Sequence[EventType], fulltag: str | None, page: int, limit: int
    ) -> list[Event]:
        """One more than `limit` when there is a next page."""
        offset = (page - 1) * limit
        return await self._database.run(
            events.page, kinds=kinds, fulltag=fulltag, offset=offset, limit=limit + 1
        )

    async def counts(self) -> dict[str, int]:
        """How many images there are of each status."""
        return await self._database.run(images.counts)

    async def _find(self, digest: str) -> Image | None:
        return await self._database.run(_used, digest, now=self._clock.now())

    async def _ask_registry(self, reference: ImageReference, digest: str | None) -> tuple[str, str]:
        """(digest, image id), as the registry has them; it must have the manifest."""
        try:
            async with asyncio.timeout(self._registry_seconds):
                if digest is None:
                    digest = (await self._resolver.resolve(reference)).digest
                media_type, body = await self._content.manifest(reference, digest)
        except StepFailure as error:
            raise registry_refusal(error) from error
        except TimeoutError as error:
            raise Refusal(
                400,
                "cannot fetch image digest/manifest from registry",
                codes=["REGISTRY_NOT_ACCESSIBLE"],
                raw_exception_message=f"no answer in {self._registry_seconds:g} s",
            ) from error
        return digest, _image_id(media_type, body, digest)


def read_tag(text: str) -> ImageReference:
    """A full tag, normalised as Docker does. Raises Refusal (400)."""
    try:
        reference = parse_reference(text)
    except InvalidReference as error:
        raise Refusal(400, f"the tag cannot be read: {error}") from error
    if reference.digest is not None:
        raise Refusal(400, "Must have tag-based pull string", invalid_value=text)
    return reference


def _image_id(media_type: str, body: bytes, digest: str) -> str:
    """What is no image gets its digest for an id, as with Engine, and fails in its analysis."""
    if not is_index(media_type, body):
        try:
            return read_manifest(media_type, body).image_id
        except AnalysisFailed:
            pass
    return digest.removeprefix("sha256:")


def _used(connection: sqlite3.Connection, digest: str, *, now: int) -> Image | None:
    found = images.find(connection, digest)
    if found is not None and found.last_used <= now - images.USED_TO:
        images.use(connection, digest, now=now)
    return found


def _delete(connection: sqlite3.Connection, digest: str, *, force: bool) -> tuple[bool, str | None]:
    """(whether it was there, why it stays)."""
    image = images.find(connection, digest)
    if image is None:
        return False, "No image found with the digest"
    if not force:
        if image.status is AnalysisStatus.ANALYZING:
            return True, "cannot delete image that is being analyzed"
        newest = (images.newest_of_tag(connection, tag.fulltag) for tag in image.tags)
        if any(one is not None and one.digest == digest for one in newest):
            return True, (
                "cannot delete image that is the latest of its tags, and has active subscription"
            )
    images.delete(connection, digest)
    return True, None


def _write(
    connection: sqlite3.Connection,
    submission: Submission,
    *,
    digest: str,
    image_id: str,
    reference: ImageReference,
    now: int,
) -> Image:
    """Add the image, or queue it once more, or leave it; all in one transaction."""
    known = images.find(connection, digest)
    again = known is not None and (submission.force or known.status is AnalysisStatus.FAILED)
    if known is None:
        images.add(
            connection,
            digest=digest,
            image_id=image_id,
            repository=reference.repository,
            dockerfile=submission.dockerfile,
            annotations=submission.annotations,
            now=now,
        )
    elif again:
        queue.analyse_again(
            connection,
            digest=digest,
            repository=reference.repository,
            dockerfile=submission.dockerfile,
            now=now,
        )
    elif submission.dockerfile not in (None, known.dockerfile):
        # The very Dockerfile that was given before may be given again: a repeat is safe.
        raise Refusal(
            400,
            "Cannot specify dockerfile for an image that already exists unless using force=True "
            "for re-analysis",
            digest=digest,
            tag=reference.tagged,
        )
    images.add_tag(connection, digest=digest, fulltag=reference.tagged, now=now)
    image = images.find(connection, digest)
    if image is None:
        raise LookupError(digest)
    return image
