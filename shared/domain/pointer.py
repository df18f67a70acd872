"""Pointers and indexes: what a registry said a tag, and a multi-arch digest, stand for.

Times are integer milliseconds since the epoch. Lives of pointers: docs/design/behaviour.md 2.
"""

from enum import StrEnum

import msgspec

from shared.domain.errors import ErrorKind
from shared.domain.reference import ImageReference

SECOND = 1000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
FOREVER = 2**63

POINTER_MAX_AGE = 7 * DAY
YOUNG_ALWAYS = 10 * SECOND
YOUNG = 60 * SECOND

LESSER = {"amd64": "386", "arm64": "arm"}

FRESH_ERROR = {
    ErrorKind.NOT_FOUND: 60 * SECOND,
    ErrorKind.UNAUTHORISED: 60 * SECOND,
    ErrorKind.ANALYSIS_FAILED: 10 * MINUTE,
    ErrorKind.REFUSED: 60 * SECOND,
    ErrorKind.MISCONFIGURED: 60 * SECOND,
    ErrorKind.UNTRUSTED: 60 * SECOND,
    ErrorKind.TRANSIENT: 15 * SECOND,
}
"""How long an error, of a pointer or of a verdict, is the answer before it is tried again."""


class Standing(StrEnum):
    """What a pointer is worth to a pod (docs/design/behaviour.md 2)."""

    YOUNG = "young"
    """As good as the registry's word of this moment."""
    USABLE = "usable"
    """Used at once; the registry is asked again behind the answer."""
    OLD = "old"
    """The registry has to be asked first."""


class Pointer(msgspec.Struct, frozen=True):
    """Which digest a tag named when the registry was asked, or why it could not be had."""

    reference: str
    """`host/path:tag`."""
    asked_at: int
    """When the registry was asked: orders pointers (docs/design/protocol.md)."""
    digest: str | None = None
    is_index: bool = False
    previous: str | None = None
    """The digest before the tag moved, as long as the registry has it."""
    previous_seen_at: int = 0
    """When the registry was last seen to have that one (ms); 0: nobody knows."""
    known_since: int = 0
    """Since when, without a break, it is known what the tag names, whatever that was (ms); 0: since
    before anybody wrote that down."""
    error: ErrorKind | None = None
    message: str = ""

    @property
    def ends_at(self) -> int:
        """When the record itself ends."""
        life = FRESH_ERROR[self.error] if self.error else POINTER_MAX_AGE
        return self.asked_at + life

    def young_until(self, *, always: bool, immutable: bool = False) -> int:
        """Until when it may be used without asking the registry, by the pod's pull policy."""
        if immutable:
            return self.asked_at + POINTER_MAX_AGE
        return self.asked_at + (YOUNG_ALWAYS if always else YOUNG)

    def standing(
        self, now: int, *, always: bool, immutable: bool = False, renewed: int | None = None
    ) -> Standing:
        """`renewed`: a pointer later than this one (`asked_at`) was written while somebody
        waited, so that it is young for them whatever the clocks say."""
        if now < self.young_until(always=always, immutable=immutable):
            return Standing.YOUNG
        if not always:
            return Standing.USABLE
        later = renewed is not None and self.asked_at > renewed
        return Standing.YOUNG if later else Standing.OLD


class Manifest(msgspec.Struct, frozen=True):
    """One entry of an index: what a runtime may choose."""

    digest: str
    os: str = ""
    architecture: str = ""
    variant: str = ""
    exact: bool = False
    """Every node of this platform takes it, whatever its variant, version and features are."""

    @property
    def platform(self) -> str:
        """`os/architecture`, empty for an entry without a platform."""
        return f"{self.os}/{self.architecture}" if self.os or self.architecture else ""

    def counts(self, platforms: tuple[str, ...] | None) -> bool:
        """Whether a runtime on one of `platforms` (`os/architecture`) could choose it, or on any
        where it is not known which.

        Any variant counts, and so does an entry without a platform. Only unknown/unknown is
        skipped: annotations prove nothing, containerd ignores them (behaviour.md 2).
        """
        if self.platform == "unknown/unknown":
            return False
        return platforms is None or not self.platform or self.platform in platforms


class Index(msgspec.Struct, frozen=True):
    """The manifests that a digest which is an index names; never changes.

    Nested indexes are flattened by whoever writes the record.
    """

    digest: str
    manifests: tuple[Manifest, ...]
    asked_at: int

    def counted(self, platforms: tuple[str, ...] | None) -> tuple[Manifest, ...]:
        """The manifests that runtimes on `platforms` could choose; None: nobody knows which.

        Where no entry is exactly a node's own, containerd takes the lesser architecture.
        """
        if platforms is None:
            return tuple(entry for entry in self.manifests if entry.counts(None))
        exact = {entry.platform for entry in self.manifests if entry.exact}
        lesser = tuple(_lesser(platform) for platform in platforms if platform not in exact)
        return tuple(entry for entry in self.manifests if entry.counts((*platforms, *lesser)))


def _lesser(platform: str) -> str:
    """What else containerd runs there (its `platforms.Only`)."""
    system, _, machine = platform.partition("/")
    return f"{system}/{LESSER.get(machine, machine)}"


def pointer_key(reference: ImageReference) -> str:
    """The store's key of a tag's pointer."""
    return f"pointer:{reference.tagged}"


def index_key(digest: str) -> str:
    """The store's key of an index record."""
    return f"index:{digest}"
