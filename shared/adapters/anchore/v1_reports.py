"""What Engine found in an image (docs/design/anchore-engine.md; tests/data/anchore has recordings).

    GET /v1/images/{digest}/vuln/all      {"imageDigest", "vulnerability_type", "vulnerabilities"}
    GET /v1/images/{digest}/content       ["os", "files", "npm", ...]
    GET /v1/images/{digest}/content/os    {"imageDigest", "content_type", "content"}

The built-in scanner adds `imagegate_unknown` to the first.
"""

from typing import Any

import msgspec

from shared.adapters.anchore.report_rows import (
    PackageRow,
    UnknownRow,
    VulnerabilityRow,
    coverage_of,
    data_groups,
    package_of,
    vulnerability_of,
)
from shared.adapters.anchore.reports import ReportDialect
from shared.domain.image_report import ImageAbout, ImagePackage, Vulnerabilities


class _Metadata(msgspec.Struct):
    arch: str | None = None
    distro: str | None = None
    distro_version: str | None = None
    image_size: int | None = None
    layer_count: int | None = None
    dockerfile_mode: str | None = None


class _Content(msgspec.Struct):
    metadata: _Metadata | None = None


class _Record(msgspec.Struct):
    image_content: _Content | None = None


class _Vulnerabilities(msgspec.Struct):
    vulnerabilities: list[VulnerabilityRow]
    imagegate_unknown: UnknownRow | None = None


class _Packages(msgspec.Struct):
    content: list[PackageRow]
    content_type: str = ""


def read_about(body: Any) -> ImageAbout:
    """Of an image's record, which has this part alike in both APIs."""
    content = msgspec.convert(body, _Record).image_content
    told = (content.metadata if content else None) or _Metadata()
    return ImageAbout(
        architecture=told.arch or "",
        distro=told.distro or "",
        distro_version=told.distro_version or "",
        size=told.image_size or 0,
        layers=told.layer_count or 0,
        dockerfile=told.dockerfile_mode or "",
    )


def read_packages(body: Any) -> tuple[ImagePackage, ...]:
    """One kind of content; alike in both APIs but for the digest's key."""
    told = msgspec.convert(body, _Packages)
    return tuple(package_of(row, kind=told.content_type) for row in told.content)


def read_vulnerabilities(body: Any) -> Vulnerabilities:
    """Alike in both APIs but for the digest's key."""
    told = msgspec.convert(body, _Vulnerabilities)
    found = tuple(vulnerability_of(row) for row in told.vulnerabilities)
    return Vulnerabilities(found, coverage_of(told.imagegate_unknown))


V1_REPORTS = ReportDialect(
    base="/v1",
    digest="imageDigest",
    about=read_about,
    packages=read_packages,
    vulnerabilities=read_vulnerabilities,
    data=data_groups,
)
