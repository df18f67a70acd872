"""The emergency: for a time nothing is refused that a rule of mode enforce would refuse.

For when imagegate itself or what it stands on is broken and the cluster must go on. There is one
switch a cluster: an operator's key signs what it says, and what was signed last holds. Its record
is sealed under `emergency_key` of the cluster with its `made_at` for the order; its end is always
LONGEST after that, so that whatever was signed before it has ended when it is forgotten
(docs/design/signatures.md).
"""

import msgspec

from shared.domain.cluster_name import ALLOWED, another_is_meant, is_cluster_name
from shared.domain.errors import InvalidException
from shared.domain.exceptions import LAST_END, check_text, distinct_namespaces, exception_key
from shared.domain.glob import Glob
from shared.domain.pointer import DAY
from shared.domain.signing import Body

LONGEST = DAY
"""Milliseconds that one may last; who needs more says so again tomorrow."""

_ID = "emergency"
_OF = "@"
"""Which no exception's id has, nor a cluster's name."""


def emergency_id(cluster: str) -> str:
    """Under which that of a cluster stands among the exceptions; empty: it has no name."""
    return f"{_ID}{_OF}{cluster}" if cluster else _ID


def emergency_key(cluster: str) -> str:
    """The key under which it is sealed, stored and announced."""
    return exception_key(emergency_id(cluster))


def emergency_cluster(exception_id: str) -> str | None:
    """Of which cluster an emergency stands under this id; None: of none, an exception may."""
    _, _, cluster = exception_id.partition(_OF)
    known = is_cluster_name(cluster) and exception_id == emergency_id(cluster)
    return cluster if known else None


class Emergency(msgspec.Struct, frozen=True):
    """Where nothing is refused, why, and until when; or that this is over."""

    namespaces: tuple[str, ...]
    """Globs."""
    reason: str
    owner: str
    made_at: int
    """Milliseconds since the epoch: the newest holds."""
    until: int
    """When it ends (ms); `made_at`: it is over."""
    cluster: str = ""
    """In which it holds, as its webhooks are told (IMAGEGATE_CLUSTER); the key names it too."""

    @property
    def over(self) -> bool:
        """Whether it ends the one before."""
        return self.until == self.made_at

    def counts(self, now: int) -> bool:
        """Whether it holds at `now` (ms)."""
        return now < self.until and not self.over

    def holds_in(self, namespace: str) -> bool:
        """Whether it is for objects of this namespace."""
        return any(Glob(pattern).matches(namespace) for pattern in self.namespaces)

    def replaces(self, other: "Emergency | None") -> bool:
        """Whether it was signed later; of the same moment is later what ends it."""
        return other is None or (self.made_at, self.over) > (other.made_at, other.over)


def checked_emergency(emergency: Emergency, body: Body) -> Emergency:
    """That of a verified record, for whichever cluster. Raises InvalidException, which names the
    field that is wrong."""
    if (emergency.made_at, emergency.made_at + LONGEST) != (body.order, body.ends):
        raise InvalidException("made_at", "differs from what the record around it says")
    if body.key != emergency_key(emergency.cluster):
        raise InvalidException("cluster", "differs from what the record around it says")
    return checked(emergency)


def agreed_emergency(emergency: Emergency, body: Body, *, cluster: str) -> Emergency:
    """The same, for the webhooks of `cluster`."""
    if emergency.cluster != cluster:
        raise InvalidException("cluster", another_is_meant(emergency.cluster, cluster))
    return checked_emergency(emergency, body)


def checked(emergency: Emergency) -> Emergency:
    """The same with no namespace twice. Raises InvalidException."""
    for field in ("reason", "owner"):
        check_text(field, getattr(emergency, field))
    if not is_cluster_name(emergency.cluster):
        raise InvalidException("cluster", ALLOWED)
    if not 0 < emergency.made_at <= emergency.until <= emergency.made_at + LONGEST <= LAST_END:
        raise InvalidException("until", f"must be within {LONGEST // DAY * 24} h of made_at")
    return msgspec.structs.replace(emergency, namespaces=distinct_namespaces(emergency.namespaces))


def ending(
    before: Emergency | None, *, now: int, reason: str, owner: str, cluster: str
) -> Emergency:
    """What ends every emergency of before: newer than the last that is known, whatever clock made
    it."""
    made_at = now if before is None else max(now, before.made_at + 1)
    return Emergency(("*",), reason, owner, made_at, until=made_at, cluster=cluster)
