"""What the scanner keeps of images, policies and failures. Times: ms since the epoch."""

from enum import StrEnum
from typing import Literal

import msgspec

from shared.domain.errors import ImagegateError

ACCOUNT = "admin"
"""The one account; Engine's own first account has this name."""

OS_PACKAGES = frozenset({"deb", "rpm", "apk", "alpm"})
"""Package types, in Syft's words, that a distribution's own database lists."""

UNKNOWN_DISTRO = ("Unknown", "0")
"""What Engine calls an image without a distribution."""


class AnalysisStatus(StrEnum):
    """Engine's states of an image (docs/design/anchore-engine.md 4)."""

    NOT_ANALYZED = "not_analyzed"
    ANALYZING = "analyzing"
    ANALYZED = "analyzed"
    FAILED = "analysis_failed"


class AnalysisFailed(ImagegateError):
    """An image that cannot be analysed; the message is the reason shown to people."""


class Package(msgspec.Struct, frozen=True, array_like=True):
    """An installed package; `source` and `source_version` are what advisories are about."""

    name: str
    version: str
    type: str
    source: str
    source_version: str


class ImageFacts(msgspec.Struct, frozen=True):
    """All that evaluation knows of an image."""

    distro: str
    distro_version: str
    packages: tuple[Package, ...]
    user: str
    """The config's User, as it stands."""
    history: tuple[str, ...]
    """The config's `created_by`, oldest first."""
    exposed_ports: tuple[str, ...]
    dockerfile: str
    dockerfile_mode: Literal["Actual", "Guessed"]
    """Given with the submission, or guessed from the history."""
    architecture: str
    layers: int
    size: int
    """Bytes of the unpacked layers."""


def os_packages(facts: ImageFacts) -> tuple[Package, ...]:
    """The packages that a distribution's own database lists."""
    return tuple(package for package in facts.packages if package.type in OS_PACKAGES)


class Metadata(msgspec.Struct, frozen=True):
    """The part of `ImageFacts` that the image's own record shows."""

    distro: str
    distro_version: str
    dockerfile: str
    dockerfile_mode: str
    architecture: str
    layers: int
    size: int


class Tag(msgspec.Struct, frozen=True):
    """A full tag under which a digest was submitted."""

    fulltag: str
    detected_at: int


class Image(msgspec.Struct, frozen=True):
    """An image's record."""

    digest: str
    image_id: str
    repository: str
    """`host/path` that it is pulled from."""
    status: AnalysisStatus
    attempt: int
    """Counts analyses: the end of an earlier one does not count."""
    created_at: int
    last_updated: int
    analyzed_at: int | None
    dockerfile: bytes | None
    """As given; None when it has to be guessed."""
    annotations: dict[str, str]
    metadata: Metadata | None
    tags: tuple[Tag, ...]


class Policy(msgspec.Struct, frozen=True):
    """A policy bundle; `bundle` is its JSON text as it was pushed."""

    id: str
    name: str
    bundle: bytes
    active: bool
    created_at: int
    last_updated: int


class Failure(msgspec.Struct, frozen=True):
    """The event of an analysis that failed."""

    id: str
    fulltag: str
    digest: str
    reason: str
    at: int
