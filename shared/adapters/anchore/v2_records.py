"""v2's records of images (docs/design/anchore-v2.md 2).

Read in the API description, not run: nothing there is required, and what is null before an analysis
is taken over from v1.
"""

from typing import Any

import msgspec

from shared.adapters.anchore.records import ImageRecord


class _Metadata(msgspec.Struct):
    dockerfile_mode: str | None = None


class _Content(msgspec.Struct):
    metadata: _Metadata | None = None


class _Detail(msgspec.Struct):
    dockerfile: str | None = None
    full_tag: str | None = None


class _Image(msgspec.Struct):
    image_digest: str
    analysis_status: str
    account_name: str | None = None
    image_content: _Content | None = None
    image_detail: list[_Detail] | None = None


def read_records(body: Any) -> list[ImageRecord]:
    """An answer about an image is one object. Raises msgspec.ValidationError."""
    image = msgspec.convert(body, _Image)
    details = image.image_detail or []
    metadata = image.image_content.metadata if image.image_content else None
    return [
        ImageRecord(
            digest=image.image_digest,
            status=image.analysis_status,
            account=image.account_name,
            tags=tuple(detail.full_tag for detail in details if detail.full_tag),
            dockerfile_mode=metadata.dockerfile_mode if metadata else None,
            dockerfiles=tuple(detail.dockerfile for detail in details if detail.dockerfile),
        )
    ]
