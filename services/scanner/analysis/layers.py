"""Whether an image's layers are what its config says that they unpack to.

A node looks for layers it unpacked before by the config's `diff_ids` alone (containerd's chain
id) and then neither fetches nor reads what the manifest names. An image whose two halves do not
fit could be judged by the one and run as the other; Syft does not compare them.
"""

import asyncio
import gzip
import hashlib
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from services.scanner.analysis.layout import blob_path
from services.scanner.analysis.manifest import Manifest
from services.scanner.records import AnalysisFailed

_CHUNK = 2 * 1024**2
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_NEVER_PACKED = "application/vnd.oci.image.layer.v1.tar"


class _RootFs(msgspec.Struct):
    diff_ids: list[str]


class _Config(msgspec.Struct):
    rootfs: _RootFs


async def check_layers(layout: Path, manifest: Manifest, *, max_bytes: int) -> None:
    """Unpack and hash every layer; more than `max_bytes` of all are not read.

    Raises AnalysisFailed with the reason.
    """
    diff_ids = await asyncio.to_thread(_diff_ids, blob_path(layout, manifest.config.digest))
    if len(diff_ids) != len(manifest.layers):
        raise AnalysisFailed(
            f"the image's config names {len(diff_ids)} layers and its manifest "
            f"{len(manifest.layers)}: build it again"
        )
    for number, (layer, diff_id) in enumerate(zip(manifest.layers, diff_ids, strict=True), 1):
        path = blob_path(layout, layer.digest)
        packed = layer.media_type != _NEVER_PACKED
        try:
            found, size = await _hash(path, packed=packed, max_bytes=max_bytes)
        except (OSError, EOFError, zlib.error) as error:
            raise AnalysisFailed(f"layer {number} of the image cannot be unpacked") from error
        max_bytes -= size
        if found != diff_id:
            raise AnalysisFailed(
                f"layer {number} of the image unpacks to something else than its config says, so "
                "that nodes may run other files than were scanned: build it again"
            )


async def _hash(path: Path, *, packed: bool, max_bytes: int) -> tuple[str, int]:
    """The digest of what is in the layer, and its size: piece by piece in threads, so that
    the analysis' time is kept."""
    digest, size = hashlib.sha256(), 0

    def piece(stream: BinaryIO) -> int:
        chunk = stream.read(_CHUNK)
        digest.update(chunk)
        return len(chunk)

    with path.open("rb") as file, _unpacked(file, packed=packed) as stream:
        while length := await asyncio.to_thread(piece, stream):
            size += length
            if size > max_bytes:
                raise AnalysisFailed("the unpacked image is larger than IMAGEGATE_SCANNER_MAX_DISK")
    return f"sha256:{digest.hexdigest()}", size


def _unpacked(file: BinaryIO, *, packed: bool) -> BinaryIO:
    """How it is packed is seen from its first bytes, as containerd does."""
    magic = file.read(4)
    file.seek(0)
    if packed and magic == _ZSTD:
        raise AnalysisFailed(
            "a layer is packed with zstd, which this scanner cannot compare with the image's "
            "config: push it with gzip"
        )
    if packed and magic.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    return file


def _diff_ids(config: Path) -> list[str]:
    try:
        return msgspec.json.decode(config.read_bytes(), type=_Config).rootfs.diff_ids
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnalysisFailed(f"the image's config names no layers: {error}") from error
