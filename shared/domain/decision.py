"""Judgements of one image and the decision about a whole object.

The table of answers is docs/design/behaviour.md 3.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from shared.domain.exceptions import ImageException
from shared.domain.reference import ImageReference
from shared.domain.verdict import Verdict


class State(StrEnum):
    """What is known of an image, the reasons of decisions and of the metric."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    """Could not be judged, and why is known."""
    PENDING = "pending"
    REGISTRY_AWAY = "registry_away"
    """What the tag names now cannot be asked."""
    STORE_DOWN = "store_down"
    QUEUE_DOWN = "queue_down"
    INVALID = "invalid"
    """Not a reference."""
    REFUSED = "refused"
    """The rules refuse it before any scan."""
    UNPINNED = "unpinned"
    """Known, and named by a tag alone where the rules want a digest."""
    UNDECIDED = "undecided"
    """Which rule is about it depends on labels of the namespace that are not known."""
    TURNED = "turned"
    """A fail that replaced a pass, within its rule's turnGrace: allowed, and said."""
    EXCEPTED = "excepted"
    """A fail whose every stop finding an exception covers: allowed."""
    EXEMPT = "exempt"
    """The rules, or an exception for just this digest, allow it without a verdict."""


class Judgement(msgspec.Struct, frozen=True):
    """What is known of one image of the object."""

    image: str
    """As the pod wrote it."""
    state: State
    message: str = ""
    reference: ImageReference | None = None
    verdicts: tuple[Verdict, ...] = ()
    """One for each manifest that a runtime could choose."""
    since: int | None = None
    """When the scan was first wanted here (ms), while pending."""
    usual: int = 0
    """How long such scans took lately (ms), while pending; 0: none was measured yet."""
    digest: str = ""
    """What the reference stands for, once that is known: an index's or a manifest's."""
    known_since: int = 0
    """Of a tag: since when it is known what it names (ms); 0: longer than was written down."""
    over: str = ""
    """The namespace that has as many analyses under way as it may, while pending: no scan of this
    one was asked for."""
    unresolved: bool = False
    """Nobody knows what the tag names, and asking its registry failed a moment ago."""
    unjudged: State | None = None
    """Of a fail: what is known of those of its manifests that have no verdict; None: all have."""
    exceptions: tuple[ImageException, ...] = ()
    """What lets it run although it failed."""
    allowed_until: int = 0
    """Until when that or its rule's turnGrace does (ms)."""


class Decision(msgspec.Struct, frozen=True):
    """Allow or deny of the whole object."""

    allowed: bool
    state: State
    """Of the judgement that decided."""
    code: int = 200
    message: str = ""
    warnings: tuple[str, ...] = ()
    audit: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Shared by the answers that are alike: nobody changes it."""
    reason: str = ""
    """What is told of the image that decided, on one line; empty where there is nothing to tell."""
    images: tuple[str, ...] = ()
    """What was judged, as written, for those who look at decisions later: the first `MAX_IMAGES`,
    bounded."""
    rule: str = ""
    """The name of the rule that the deciding judgement was made under."""
    unpinned: int = 0
    """Images of it whose tag can move before the kubelet pulls them."""
    retry_after: int = 0
    """Seconds; 0: none."""
    let_pass: bool = False
    """Allowed by an emergency alone."""
