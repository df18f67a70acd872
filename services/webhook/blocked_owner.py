"""One owner whose pods are denied: what is kept of the review, and how much memory that takes."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from services.webhook.images import Shape
from shared.domain.decision import Decision, State
from shared.domain.errors import InvalidReference
from shared.domain.owner import Owner
from shared.domain.reference import parse_reference
from shared.domain.review import AdmissionRequest, RequestOf, UserInfo
from shared.domain.workload import Metadata, Pod

MAX_BYTES_OF_ONE = 64 * 2**10
MAX_IMAGES_OF_ONE = 32
"""Each is looked up at each look, for as long as the entry lives."""
OWN_SIZE = 2_048
IMAGE_SIZE = 640
"""Bytes that an entry, and each image of it, takes beside its texts, about: with the indexes that
it is found by."""

NEVER = float("inf")

Key: TypeAlias = tuple[Owner, tuple[Shape, ...]]


class Blocked(msgspec.Struct, eq=False):
    """Times are monotonic seconds."""

    owner: Owner
    request: AdmissionRequest
    """What of the last review chooses rules; nothing else of it is kept."""
    shapes: tuple[Shape, ...]
    repositories: frozenset[str]
    size: int
    since: float
    """When it was denied first, without having been nudged in between."""
    denied: float
    """When it was denied last."""
    state: State
    reason: str
    look: float
    """When it is to be looked at next."""
    waits: bool = True
    """Neither nudged since it was denied last, nor forgotten."""
    store_was_away: bool = False
    """Nobody could ask for a scan, and since then the store was heard again."""

    @property
    def key(self) -> Key:
        """What there is one entry of."""
        return self.owner, self.shapes

    @property
    def images(self) -> tuple[str, ...]:
        """As the pod writes them, each once."""
        return tuple(dict.fromkeys(image for image, _ in self.shapes))

    def denied_again(self, decision: Decision, now: float) -> bool:
        """Whether there is something to look at because of it."""
        self.denied, self.state, self.reason = now, decision.state, decision.reason
        # Who could ask since the store is back need not be woken for that.
        self.store_was_away &= decision.state is State.STORE_DOWN
        if self.waits:
            return False
        self.waits, self.since, self.look = True, now, now
        return True

    def says_the_same(self, request: AdmissionRequest, metadata: Metadata) -> bool:
        """Whether all that chooses rules is as it was in the last review."""
        kept = self.request.object
        assert isinstance(kept, Pod)
        return (
            kept.metadata.labels == metadata.labels
            and kept.metadata.annotations == metadata.annotations
            and self.request.user_info.username == request.user_info.username
        )


def entry_of(
    owner: Owner,
    request: AdmissionRequest,
    metadata: Metadata,
    shapes: tuple[Shape, ...],
    decision: Decision,
    *,
    now: float,
) -> Blocked | None:
    """None where it is larger than any real one."""
    if len(shapes) > MAX_IMAGES_OF_ONE:
        return None
    texts = (metadata.labels, metadata.annotations, request.user_info.username, owner.name)
    size = OWN_SIZE + sum(map(len, texts)) + sum(IMAGE_SIZE + 2 * len(image) for image, _ in shapes)
    if size > MAX_BYTES_OF_ONE:
        return None
    return Blocked(
        owner=owner,
        request=_trimmed(request, metadata),
        shapes=shapes,
        repositories=_repositories(shapes),
        size=size,
        since=now,
        denied=now,
        state=decision.state,
        reason=decision.reason,
        # A verdict may have come between the judgement and this.
        look=now,
    )


def _trimmed(request: AdmissionRequest, metadata: Metadata) -> AdmissionRequest:
    """What of a review chooses rules: copies, since what was read of a body keeps all of it."""
    return RequestOf[Pod](
        uid="",
        kind=request.kind,
        resource=request.resource,
        namespace=request.namespace,
        operation=request.operation,
        user_info=UserInfo(request.user_info.username),
        object=Pod(
            Metadata(labels=metadata.labels.copy(), annotations=metadata.annotations.copy())
        ),
    )


def _repositories(shapes: Sequence[Shape]) -> frozenset[str]:
    """Those of what is a reference: of all else nothing is ever announced."""
    found = set()
    for image, _ in shapes:
        try:
            found.add(parse_reference(image).repository)
        except InvalidReference:
            continue
    return frozenset(found)
