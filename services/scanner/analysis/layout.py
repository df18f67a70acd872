"""An image pulled into an OCI layout folder, for Syft to read.

File names come from digests that `manifest` has checked, never from what is in a layer; the
layers stay packed here.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec

from services.scanner.analysis.manifest import Manifest, read_manifest
from services.scanner.records import AnalysisFailed
from shared.domain.errors import StepFailure
from shared.domain.reference import ImageReference
from shared.ports.content import ImageContent

MAX_CONFIG = 8 * 1024**2
_WRITE_AT = 1024**2


async def pull_layout(
    content: ImageContent,
    reference: ImageReference,
    digest: str,
    *,
    folder: Path,
    max_bytes: int,
) -> Manifest:
    """Write the image into `folder`; of its blobs at most `max_bytes` together.

    Raises AnalysisFailed with the reason; what was written so far stays for the caller to
    remove.
    """
    try:
        media_type, body = await content.manifest(reference, digest)
        manifest = read_manifest(media_type, body)
        _check_sizes(manifest, max_bytes)
        blobs = folder / "blobs" / "sha256"
        await asyncio.to_thread(blobs.mkdir, parents=True)
        await asyncio.to_thread((blobs / digest.removeprefix("sha256:")).write_bytes, body)
        for blob in manifest.blobs:
            chunks = content.blob(reference, blob.digest, max_bytes=blob.size)
            await _write(blobs / blob.digest.removeprefix("sha256:"), chunks)
    except StepFailure as error:
        raise AnalysisFailed(f"the image could not be pulled: {error}") from error
    await asyncio.to_thread(_write_index, folder, manifest, digest, len(body))
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


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> None:
    """Write in pieces large enough to be worth a thread's time."""
    buffered = bytearray()
    try:
        with path.open("wb") as file:
            async for chunk in chunks:
                buffered += chunk
                if len(buffered) >= _WRITE_AT:
                    await asyncio.to_thread(file.write, bytes(buffered))
                    buffered.clear()
            await asyncio.to_thread(file.write, bytes(buffered))
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def _write_index(folder: Path, manifest: Manifest, digest: str, size: int) -> None:
    entry = {"mediaType": manifest.media_type, "digest": digest, "size": size}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (folder / "index.json").write_bytes(msgspec.json.encode(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
