"""What the scanner keeps of images, policies and events. Times: ms since the epoch."""

from enum import StrEnum
from typing import Literal

import msgspec

from shared.domain.errors import ImagegateError

ACCOUNT = "admin"
"""The one account; Engine's own first account has this name."""

OS_PACKAGES = frozenset({"deb", "rpm", "apk", "alpm"})
"""Package types, in Syft's words, that a distribution's own database lists."""

FACTS_VERSION = 2
"""Another one whenever `ImageFacts` gets a field whose absence would say something false: images
that were analysed under an older one must be analysed again."""

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


class Package(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An installed package; `source` and `source_version` are what advisories are about.

    Text that is not known is empty.
    """

    name: str
    version: str
    """As its database writes it, an epoch before it: `1:9.2p1-2`."""
    type: str
    """In Syft's words: deb, rpm, apk, python, npm, go-module, java-archive, ..."""
    source: str
    """deb: Source, apk: origin, rpm: by its source RPM, alpm: base; else the name."""
    source_version: str
    """An RPM's is without epoch: the name of a source RPM has none."""
    epoch: int | None = None
    """An RPM's; None: it has none, which is compared as 0."""
    module: str = ""
    """An RPM's modularity label: `nodejs:18:8080020230718:63b34585`."""
    architecture: str = ""
    """As its database writes it: amd64, x86_64, noarch, all."""
    purl: str = ""
    location: str = ""
    """The file in the image that says it: `/var/lib/dpkg/status`, `/app/lib/x.jar`."""
    licences: tuple[str, ...] = ()
    size: int = 0
    """Installed bytes; 0: not known."""
    origin: str = ""
    """Maintainer or vendor."""
    cpes: tuple[str, ...] = ()
    """Names that NVD may know it by; kept of packages that some data is asked about by these:
    all but deb and rpm."""
    owner: str = ""
    """The distribution's package whose list of files names `location`; empty: none does."""


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
    distro_like: tuple[str, ...] = ()
    """`ID_LIKE` of os-release."""
    distro_codename: str = ""
    """`VERSION_CODENAME` of os-release: all that Debian's testing and unstable have."""
    distro_name: str = ""
    """`PRETTY_NAME` of os-release."""
    os_type: str = ""
    """The config's `os`: linux."""
    user_id: int | None = None
    """Whom `user` is: its number, or what the image's own /etc/passwd says of the name; None:
    nobody, see `user_problem`."""
    user_problem: str = ""
    """Why no container of this image would start as its user; empty: one would."""
    databases: tuple[str, ...] = ()
    """Package databases in the image: dpkg, apk, rpm, alpm, by name."""
    contradictions: tuple[str, ...] = ()
    """Sentences: why what is known of the distribution's packages is not to be believed."""


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
    last_used: int
    """When somebody asked about it, to the hour."""
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


class EventType(StrEnum):
    """Events in Engine's words."""

    ANALYSIS_FAILED = "user.image.analysis.failed"
    EVALUATION_TURNED = "user.checks.tag.policy_evaluation.update"


class Event(msgspec.Struct, frozen=True):
    """Something that befell an image under one of its tags."""

    id: str
    type: EventType
    fulltag: str
    digest: str
    details: msgspec.Raw
    """As Engine's record of the event has them."""
    at: int
