"""What the media types of a manifest say: an image, one that cannot be judged, or no image at all.

An artifact (a chart, a signature, a bill of materials) has the manifest of an image since OCI 1.1
and is told apart by what it holds (docs/design/registry.md, "One meaning").
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.adapters.registry.failures import refused
from shared.domain.errors import NotAnImage

INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))

LAYER_TYPES = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)
"""What every containerd takes for a layer (its `IsLayerType`)."""

CONFIG_TYPES = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
"""The configuration of a container; cosign's signatures have one too, and no layer."""

_MANIFEST_FAMILIES = ("application/vnd.oci.image.", "application/vnd.docker.distribution.")
_LAYER_FAMILIES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_VENDOR = "application/vnd."


def require_known(media_type: str, *, name: str) -> None:
    """Raises PermanentFailure (refused) for what is neither image nor index of images; where it
    calls itself something else altogether, NotAnImage."""
    if media_type in INDEX_TYPES or media_type in MANIFEST_TYPES:
        return
    # Docker's schema 1 is an image that we cannot judge; a page of HTML is nothing at all.
    if media_type.startswith(_VENDOR) and not media_type.startswith(_MANIFEST_FAMILIES):
        raise _not_an_image(name, media_type)
    raise refused(
        f"{name}: it is no image we can judge but {_shown(media_type) or 'of no known type'}; push "
        "it as an OCI image or a Docker image of schema 2"
    )


def require_layers(content: Mapping[str, Any], layers: Sequence[object], *, name: str) -> None:
    """Raises NotAnImage without any image's layer, and PermanentFailure (refused) where one is of
    a type that not every runtime unpacks.

    `content` is a whole manifest, `layers` what it lists.
    """
    kinds = [_type_of(layer) for layer in layers]
    if _is_artifact(_type_of(content["config"]), kinds):
        raise _not_an_image(name, _artifact_type(content, kinds))
    for number, kind in enumerate(kinds, start=1):
        # containerd leaves such a one out and a scanner may unpack it: it hides what is below.
        if kind not in LAYER_TYPES:
            raise refused(
                f"{name}: layer {number} of {len(layers)} is of a type that not every runtime "
                "unpacks; push it as an OCI image or a Docker image of schema 2"
            )


def _is_artifact(config: str, layers: Sequence[str]) -> bool:
    """Whether each layer names a type, none of them an image's; or the configuration does."""
    if not layers:
        return config not in ("", *CONFIG_TYPES)
    return all(layers) and not any(kind.lower().startswith(_LAYER_FAMILIES) for kind in layers)


def _artifact_type(content: Mapping[str, Any], layers: Sequence[str]) -> str:
    """What an artifact calls itself: by its own field, its configuration, or its content."""
    named = content.get("artifactType")
    config = _type_of(content["config"])
    if isinstance(named, str) and named:
        return named
    return layers[0] if config in ("", *CONFIG_TYPES) else config


def _not_an_image(name: str, kind: str) -> NotAnImage:
    return NotAnImage(
        f"{name}: it is no container image but {_shown(kind) or 'of another type'}, which no "
        "runtime starts; correct the reference"
    )


def _type_of(descriptor: object) -> str:
    """The media type that a descriptor names; empty where it names none."""
    kind = descriptor.get("mediaType") if isinstance(descriptor, dict) else None
    return kind if isinstance(kind, str) else ""


def _shown(media_type: str) -> str:
    return media_type[:100] if media_type.isprintable() and media_type.isascii() else ""
