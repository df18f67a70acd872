"""A manifest as the scanner needs it: one image's config and layers, everything checked.

What is not exactly that is refused with a reason: an index (our workers send the manifest of a
platform; Engine fails an OCI index too, docs/design/anchore-engine.md 3), schema 1, an
artifact, a digest that is no SHA-256 (it becomes a file name).
"""

import re
from typing import Annotated, Any

import msgspec

from services.scanner.records import AnalysisFailed

MAX_LAYERS = 512

_INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_IMAGE_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Descriptor(msgspec.Struct, frozen=True, rename={"media_type": "mediaType"}):
    """A blob that a manifest names."""

    digest: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    media_type: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """One image for one platform."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def image_id(self) -> str:
        """The config's digest without its algorithm, as Docker and Engine name an image."""
        return self.config.digest.removeprefix("sha256:")

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers; a blob that is named twice counts once."""
        return tuple({blob.digest: blob for blob in (self.config, *self.layers)}.values())


class _Document(msgspec.Struct, rename={"media_type": "mediaType"}):
    media_type: str = ""
    manifests: Any = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None


def is_index(media_type: str, body: bytes) -> bool:
    """Whether this is a list of manifests; a body that cannot be read is none."""
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return media_type in _INDEX_TYPES
    return media_type in _INDEX_TYPES or document.manifests is not None


def read_manifest(media_type: str, body: bytes) -> Manifest:
    """Check and read a manifest. Raises AnalysisFailed with the reason."""
    if is_index(media_type, body):
        raise AnalysisFailed(
            "the digest names an index of several platforms, not one image: submit the digest of "
            "a platform's manifest"
        )
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnalysisFailed(f"the manifest cannot be read: {error}") from error
    kind = document.media_type or media_type
    if kind not in _IMAGE_TYPES or media_type not in (*_IMAGE_TYPES, ""):
        raise AnalysisFailed(f"the manifest is of the type {kind[:120]!r}, which is no image")
    if document.config is None or document.layers is None:
        raise AnalysisFailed("the manifest names no config or no layers")
    if len(document.layers) > MAX_LAYERS:
        raise AnalysisFailed(f"the image has {len(document.layers)} layers, over {MAX_LAYERS}")
    manifest = Manifest(kind, document.config, document.layers)
    for blob in manifest.blobs:
        if not _DIGEST.fullmatch(blob.digest):
            raise AnalysisFailed(f"the manifest names {blob.digest[:80]!r}, which is no SHA-256")
    return manifest
