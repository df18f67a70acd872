"""Engine's records of images (docs/design/anchore-engine.md 2, 4)."""

from typing import Any

import msgspec

from shared.adapters.anchore.records import ImageRecord


class _Metadata(msgspec.Struct):
    dockerfile_mode: str | None = None


class _Content(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Detail(msgspec.Struct):
    dockerfile: str | None = None
    fulltag: str | None = None


class _Image(msgspec.Struct):
    imageDigest: str
    analysis_status: str
    userId: str | None = None
    image_content: _Content = msgspec.field(default_factory=_Content)
    image_detail: list[_Detail] = msgspec.field(default_factory=list)


def read_records(body: Any) -> list[ImageRecord]:
    """Every answer about images is an array, also about one. Raises msgspec.ValidationError."""
    return [
        ImageRecord(
            digest=image.imageDigest,
            status=image.analysis_status,
            account=image.userId,
            tags=tuple(detail.fulltag for detail in image.image_detail if detail.fulltag),
            dockerfile_mode=image.image_content.metadata.dockerfile_mode,
            dockerfiles=tuple(
                detail.dockerfile for detail in image.image_detail if detail.dockerfile
            ),
        )
        for image in msgspec.convert(body, list[_Image])
    ]
