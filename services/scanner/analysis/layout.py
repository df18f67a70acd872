"""An image pulled into an OCI layout folder, for Syft to read.

File names come from digests that `manifest` has checked, never from what is in a layer; the
layers stay packed here. Its blobs are links to those that `Blobs` keeps.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from services.scanner.analysis.blobs import Blobs
from services.scanner.analysis.manifest import Manifest, read_manifest
from services.scanner.analysis.threads import to_its_end
from services.scanner.records import AnalysisFailed
from shared.domain.errors import StepFailure
from shared.domain.reference import ImageReference
from shared.ports.content import ImageContent

MAX_CONFIG = 8 * 1024**2


class Layouts:
    """Pulls images of at most `max_bytes`, in at most `seconds`."""

    def __init__(
        self, *, content: ImageContent, blobs: Blobs, max_bytes: int, seconds: float
    ) -> None:
        self._content = content
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._seconds = seconds

    @asynccontextmanager
    async def pulled(
        self, reference: ImageReference, digest: str, *, folder: Path
    ) -> AsyncIterator[Manifest]:
        """The image in `folder` until the block ends. Raises AnalysisFailed with the reason."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._seconds):
                    manifest = await self._pull(held, reference, digest, folder)
            except TimeoutError as error:
                raise AnalysisFailed(
                    f"the image could not be pulled in {self._seconds:g} s: raise "
                    "IMAGEGATE_SCANNER_PULL_SECONDS if it must be scanned"
                ) from error
            except StepFailure as error:
                raise AnalysisFailed(f"the image could not be pulled: {error}") from error
            yield manifest

    async def _pull(
        self, held: AsyncExitStack, reference: ImageReference, digest: str, folder: Path
    ) -> Manifest:
        media_type, body = await self._content.manifest(reference, digest)
        manifest = read_manifest(media_type, body)
        _check_sizes(manifest, self._max_bytes)
        await to_its_end(_write_index, folder, manifest, digest, body)
        for blob in manifest.blobs:
            path = await held.enter_async_context(self._blobs.held(reference, blob))
            await to_its_end(os.link, path, blob_path(folder, blob.digest))
        return manifest


def blob_path(folder: Path, digest: str) -> Path:
    """Where a layout keeps a blob."""
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _check_sizes(manifest: Manifest, max_bytes: int) -> None:
    """Refuse by the sizes that the manifest states; a blob larger than its own is cut off."""
    if manifest.config.size > MAX_CONFIG:
        raise AnalysisFailed(f"the image's config is over {MAX_CONFIG} bytes")
    total = sum(blob.size for blob in manifest.blobs)
    if total > max_bytes:
        raise AnalysisFailed(
            f"the image has {total} bytes, over the limit of {max_bytes}: raise "
            "IMAGEGATE_SCANNER_MAX_IMAGE if it must be scanned"
        )


def _write_index(folder: Path, manifest: Manifest, digest: str, body: bytes) -> None:
    blob_path(folder, digest).parent.mkdir(parents=True)
    blob_path(folder, digest).write_bytes(body)
    entry = {"mediaType": manifest.media_type, "digest": digest, "size": len(body)}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (folder / "index.json").write_bytes(msgspec.json.encode(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
