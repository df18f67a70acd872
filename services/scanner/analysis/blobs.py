"""Blobs of the images being analysed: each is pulled once while somebody needs it.

Analyses that run at the same time and share layers share the file; the last to need it removes
it. A file is there under its name once it is whole and hashed. Who is cancelled, or may not pull
the blob from his own repository, takes nothing from the others.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from services.scanner.analysis.manifest import Descriptor
from services.scanner.analysis.threads import to_its_end
from services.scanner.records import AnalysisFailed
from shared.domain.errors import ImagegateError
from shared.domain.reference import ImageReference
from shared.ports.content import ImageContent

_WRITE_AT = 1024**2


class _Kept(msgspec.Struct, eq=False):
    """A blob, whole once `pull` ended well."""

    path: Path
    holders: int = 0
    pull: asyncio.Task[int] | None = None


class Blobs:
    """Files directly in `folder`, which must be there."""

    def __init__(self, *, content: ImageContent, folder: Path) -> None:
        self._content = content
        self._folder = folder
        self._kept: dict[str, _Kept] = {}
        self._numbers = itertools.count()

    @asynccontextmanager
    async def held(self, reference: ImageReference, blob: Descriptor) -> AsyncIterator[Path]:
        """The blob's file, to be read until the block ends.

        Raises StepFailure when it cannot be pulled, AnalysisFailed when it is not what the
        manifest says, or cannot be written.
        """
        kept = self._kept.get(blob.digest)
        if kept is None:
            name = f"{blob.digest.removeprefix('sha256:')}-{next(self._numbers)}"
            kept = self._kept[blob.digest] = _Kept(self._folder / name)
        kept.holders += 1
        try:
            size = await self._pulled(kept, reference, blob)
            if size != blob.size:
                raise AnalysisFailed(
                    f"{blob.digest} has {size} bytes, not {blob.size} as its manifest says"
                )
            yield kept.path
        finally:
            kept.holders -= 1
            if not kept.holders:
                del self._kept[blob.digest]
                await asyncio.shield(_forget(kept))

    async def _pulled(self, kept: _Kept, reference: ImageReference, blob: Descriptor) -> int:
        """Its size; where another's pull fails it is tried as `reference` says."""
        while True:
            own = kept.pull is None
            if kept.pull is None:
                pull = self._pull(kept.path, reference, blob)
                kept.pull = asyncio.create_task(pull, name=f"pull {blob.digest}")
            waited_for = kept.pull
            try:
                return await asyncio.shield(waited_for)
            except ImagegateError:
                if kept.pull is waited_for:
                    kept.pull = None
                if own:
                    raise

    async def _pull(self, path: Path, reference: ImageReference, blob: Descriptor) -> int:
        part = path.with_name(f"{path.name}.part")
        chunks = self._content.blob(reference, blob.digest, max_bytes=blob.size)
        try:
            size = await _write(part, chunks)
            await to_its_end(part.rename, path)
        except OSError as error:
            raise AnalysisFailed(
                f"the image cannot be written to the scanner's folder: {error.strerror}"
            ) from error
        finally:
            await asyncio.shield(asyncio.to_thread(part.unlink, missing_ok=True))
        return size


async def _forget(kept: _Kept) -> None:
    if kept.pull is not None:
        kept.pull.cancel()
        await asyncio.wait({kept.pull})
        if not kept.pull.cancelled():
            kept.pull.exception()
    with suppress(OSError):
        await asyncio.to_thread(kept.path.unlink, missing_ok=True)


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> int:
    """Write in pieces large enough to be worth a thread's time; the file's size."""
    buffered, size = bytearray(), 0
    try:
        async with _opened(path) as file:
            async for chunk in chunks:
                buffered += chunk
                size += len(chunk)
                if len(buffered) >= _WRITE_AT:
                    await to_its_end(file.write, bytes(buffered))
                    buffered.clear()
            await to_its_end(file.write, bytes(buffered))
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    return size


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[BinaryIO]:
    """Who is cancelled meanwhile waits for the file, and closes it: else it would be there, and
    open, after it was removed."""
    opening = asyncio.ensure_future(asyncio.to_thread(path.open, "wb"))
    try:
        file = await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(OSError):
            (await opening).close()
        raise
    with file:
        yield file
