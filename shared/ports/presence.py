"""Which of our processes are alive, and what each has in hand: for people.

Only for show. A process that cannot say that it lives goes on all the same.
"""

from typing import Protocol

import msgspec

from shared.domain.cluster_name import ClusterName
from shared.domain.step import Lane

BEAT_EVERY = 2.0
"""Seconds between two beats of a process."""

GONE_AFTER = 15_000
"""Milliseconds without a beat after which a process counts as gone."""

MAX_PRESENT = 1_000
"""Processes that are remembered; above it the longest silent go."""


class PolicySeen(msgspec.Struct, frozen=True):
    """A policy by which what is in use is judged. Texts are cut to MAX_NAME."""

    account: str
    policy: str
    revision: str
    """The first digits of it."""
    since: int
    """When it was first seen to answer (ms)."""
    seen_at: int
    """And when last; a record of it is renewed once a day."""


MAX_NAME = 64
MAX_POLICIES = 8


class Caring(msgspec.Struct, frozen=True):
    """What the leader knows of what is in use, as its last survey found it."""

    rate: float
    """Evaluations a second that refresh may ask for."""
    surveyed_at: int = 0
    """When (ms); 0: not yet."""
    in_use: int = 0
    due: int = 0
    """Of these, fresh still, and to be renewed."""
    stale: int = 0
    replaced: int = 0
    """Judged by a policy that has been replaced."""
    policies: tuple[PolicySeen, ...] = ()
    """The first MAX_POLICIES of those that are asked for."""


class Beat(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process says of itself."""

    name: str
    """Tells it from all others: `worker@HOST:PID:RANDOM`."""
    service: str
    """`webhook`, `worker`, `intake`, `console`, `scanner`."""
    version: str
    started: int
    """When (ms)."""
    stopping: bool = False
    away: tuple[str, ...] = ()
    """Which of the things that it depends on do not answer it: `store`, `queue`, `anchore`."""
    delivered: dict[Lane, int] = {}
    """Steps that were handed to its handlers since it started, by lane."""
    in_hand: dict[Lane, int] = {}
    """Deliveries that it has not settled yet, by lane."""
    caring: Caring | None = None
    """Of the worker that leads."""
    emergency: int = 0
    """Of a webhook: until when (ms) it lets pass what rules refuse; 0: there is no emergency."""
    emergency_signed: int = 0
    """Of a webhook: when the newest emergency was signed (ms) that it ever heard of, or what ended
    one; this tells which that is. 0: it heard of none."""
    certificate_ends: int = 0
    """Of a webhook: when the certificate that it shows ends (ms); 0: it shows none."""
    cluster: ClusterName = ""
    """Of a webhook: whose reviews it answers; empty: the cluster has no name."""


class Alive(msgspec.Struct, frozen=True):
    """A process that was heard lately."""

    beat: Beat
    seen: int
    """Milliseconds since its last beat, on the store's clock."""


class Presence(Protocol):
    """The processes that were heard in the last GONE_AFTER milliseconds.

    Guarantees: a beat replaces the one before it of the same name; who says goodbye is gone at
    once, who falls silent after GONE_AFTER; bounded (the longest silent go above MAX_PRESENT).

    Errors: StoreError.
    """

    async def beat(self, beat: Beat) -> None:
        """This process lives."""

    async def goodbye(self, name: str) -> None:
        """This process ends."""

    async def alive(self) -> list[Alive]:
        """All of them, by service and name; a beat that cannot be read is left out."""
