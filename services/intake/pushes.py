"""What is recognised in a push event, and what becomes of it.

An event is a hint that a registry may have something new: nothing in it is believed
(docs/design/push-events.md).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from shared.domain.errors import ImagegateError
from shared.domain.reference import ImageReference

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OF_ANOTHER = re.compile(r"sha256-[0-9a-f]{64}(?:\..+)?")


class Source(StrEnum):
    """Whose words an event is in: one endpoint each, nothing is guessed from a body."""

    DISTRIBUTION = "distribution"
    GENERIC = "generic"


class Taken(StrEnum):
    """What became of an event about an image."""

    QUEUED = "queued"
    UNDER_WAY = "under_way"
    """Asked for already, and not begun: the registry is asked after this push."""
    REMEMBERED = "remembered"
    """The queue does not take it; the store keeps it until a worker publishes it again."""
    REPLAYED = "replayed"
    """This very event was taken a while ago."""
    AWAY = "away"
    """Neither store nor queue took it in time: whoever sent it must send it again."""


class Ignored(StrEnum):
    """Why an event is left alone."""

    ACTION = "action"
    """Something else than a push."""
    BLOB = "blob"
    """A layer or a config: its image's manifest comes too."""
    MEDIA_TYPE = "media_type"
    """Neither a blob nor a kind of image that is known."""
    UNTAGGED = "untagged"
    SIGNATURE = "signature"
    """A signature, attestation, SBOM or list of referrers, told by its tag."""
    ARTIFACT = "artifact"
    """A chart or something else that no pod can run."""
    NOT_ALLOWED = "not_allowed"
    UNASKED = "unasked"
    """The rules let such images run, or deny them, without a verdict."""
    NO_REFERENCE = "no_reference"
    """Host, repository and tag are nothing that a pod could name."""
    REPEATED = "repeated"
    """The same image stands further down in the same envelope."""
    UNREADABLE = "unreadable"
    TOO_MANY = "too_many"


class InvalidEvent(ImagegateError):
    """A request that is not taken. `status` is the HTTP status to answer with."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Push(msgspec.Struct, frozen=True):
    """An image that somebody says was pushed."""

    reference: ImageReference
    """With a tag; with a digest only where the event names no tag."""
    announced: str = ""
    """The digest that the tag is said to name; empty: not said."""
    event: bytes = b""
    """What a replay is known by; empty: it cannot be known."""


class Found(msgspec.Struct, frozen=True):
    """What stands in one request."""

    pushes: tuple[Push, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    @classmethod
    def of(cls, read: Sequence[Push | Ignored]) -> "Found":
        """Each event as it was read."""
        return cls(
            pushes=tuple(each for each in read if isinstance(each, Push)),
            ignored=tuple(each for each in read if isinstance(each, Ignored)),
        )


class Tally(msgspec.Struct):
    """What became of the events of one request."""

    taken: Counter[Taken]
    ignored: Counter[Ignored]
    images: list[str] = msgspec.field(default_factory=list)
    """What was queued."""
    troubles: dict[str, str] = msgspec.field(default_factory=dict)
    """What was away (`store`, `queue`) or too slow (`deadline`), as the last of them said it."""


def about_another(tag: str) -> bool:
    """Whether the tag stands for something about an image (cosign's `sha256-....sig` and its
    kin, and the list of referrers of a registry that has no API for it)."""
    return _OF_ANOTHER.fullmatch(tag) is not None


def digest_or_nothing(text: str) -> str:
    """`text` if it is a digest: registries' own samples hold some that are none."""
    return text if _DIGEST.fullmatch(text) else ""


def event_key(*parts: str | bytes) -> bytes:
    """A short name for the event that has these parts."""
    hashed = hashlib.sha256()
    for part in parts:
        # A lone surrogate can stand in JSON and has no UTF-8.
        text = part if isinstance(part, bytes) else part.encode(errors="surrogatepass")
        hashed.update(len(text).to_bytes(8, "big") + text)
    return hashed.digest()
