"""Owners of blocked pods: having their controllers try again now, and telling people.

What the API server does with a nudge: docs/design/kube-facts.md 3 and 8.
"""

from enum import StrEnum
from typing import Protocol

import msgspec

from shared.domain.owner import Owner


class Nudging(Protocol):
    """The owners that a cluster really has.

    An owner is told by its uid: one that was made up, or replaced by another of its name, is gone
    and nothing else is touched. Only its annotation `imagegate.dev/nudged` is ever written.

    Errors: OwnerGone; ClusterUnreachable; ClusterRefused where a right is missing, or a policy of
    the cluster is in the way.
    """

    async def nudge(self, owner: Owner) -> Owner:
        """Touch it, so that its controller tries again at once. Returns who it is to people: its
        own controller where it has one (the Deployment of a ReplicaSet), else itself."""

    async def known_as(self, owner: Owner) -> Owner:
        """The same answer, from the cluster as it is, and nothing is touched."""


class NudgeClaims(Protocol):
    """Which of several processes nudges an owner, on the store's clock.

    Guarantees: of any number that claim an owner within `life` milliseconds one has it.

    Errors: StoreError.
    """

    async def claim(self, uid: str, *, life: int) -> int | None:
        """None: the owner of that uid is the caller's to nudge. Else how long ago (ms) somebody
        took it."""

    async def drop(self, uid: str) -> None:
        """It was not nudged after all: others may."""


class Reason(StrEnum):
    """What an Event says."""

    PENDING = "ImagePending"
    PASSED = "ImagePassed"
    REFUSED = "ImageRefused"
    TURNED = "ImageTurned"

    @property
    def is_warning(self) -> bool:
        """Whether somebody has to do something."""
        return self in (Reason.REFUSED, Reason.TURNED)


class OwnerEvent(msgspec.Struct, frozen=True):
    """One thing to tell of an owner."""

    owner: Owner
    reason: Reason
    note: str
    """One line of at most `MAX_NOTE` characters."""
    about: str
    """What it is about (images): whoever tells the same reason of the same means one Event."""


MAX_NOTE = 1_000
"""Bytes that Kubernetes keeps of a note, about."""


class EventSink(Protocol):
    """Events as people see them (`kubectl describe`, `kubectl get events`).

    Guarantees: of an owner, a reason and what it is about there is one Event, however many
    processes tell it.

    Errors: ClusterUnreachable, ClusterRefused where a right is missing, or a policy of the cluster
    is in the way, OwnerGone where its namespace is going.
    """

    async def tell(self, event: OwnerEvent, *, times: int) -> bool:
        """`times` 1: make it. More: it was made here, and happened so often by now. False: another
        process made it and counts it, or (more than once) it is no longer there."""
