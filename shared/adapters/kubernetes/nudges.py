"""Nudges: an annotation, written through the status subresource of whatever makes pods.

That wakes its controller, leaves its spec and generation as they are, and needs no right to either
(docs/design/kube-facts.md 3). The uid stands in the patch: the API server refuses it (422) where
the object is another one of that name.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import quote

import msgspec

from shared.adapters.kubernetes import objects
from shared.adapters.kubernetes.failures import NotThere, Unprocessable
from shared.adapters.kubernetes.objects import Unreadable
from shared.adapters.kubernetes.wire import Wire
from shared.domain.errors import OwnerGone
from shared.domain.owner import Owner, OwnerReference, is_plausible
from shared.domain.pointer import SECOND
from shared.ports.clock import Clock

ANNOTATION = "imagegate.dev/nudged"
"""When (RFC 3339): each one is another value, since what changes nothing wakes nobody."""

MERGE = "application/merge-patch+json"
ADVICE = (
    "bind the ClusterRole imagegate-nudge (patch of the status of replicasets, statefulsets, "
    "daemonsets, jobs and replicationcontrollers; create and patch of events) to the webhook's "
    "ServiceAccount, or set IMAGEGATE_NUDGE=false"
)

_UID = "metadata.uid"
_AS_US = {"fieldManager": "imagegate"}
_TO_LOOK: Mapping[str, str] = MappingProxyType(_AS_US | {"dryRun": "All"})


class _Meta(msgspec.Struct, rename="camel"):
    owner_references: list[OwnerReference] | None = None


class _Owned(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class KubernetesNudging:
    """A `shared.ports.nudging.Nudging`, over a wire that somebody else opens."""

    def __init__(self, *, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock

    async def nudge(self, owner: Owner) -> Owner:
        annotations = {ANNOTATION: _time(self._clock.now())}
        return await self._patch(owner, {"annotations": annotations}, _AS_US, doing="nudge")

    async def known_as(self, owner: Owner) -> Owner:
        return await self._patch(owner, {}, _TO_LOOK, doing="look at")

    async def _patch(
        self, owner: Owner, metadata: Mapping[str, object], query: Mapping[str, str], *, doing: str
    ) -> Owner:
        doing = f"{doing} one of {owner.resource}"
        body = msgspec.json.encode({"metadata": {"uid": owner.uid, **metadata}})
        try:
            answer = await self._wire.send(
                "PATCH",
                _status_of(owner),
                body,
                query,
                doing=doing,
                form=MERGE,
                accept=objects.ONE,
            )
        except NotThere as error:
            raise OwnerGone(f"there is no {owner} any more") from error
        except Unprocessable as error:
            if _UID in error.fields:
                raise OwnerGone(f"there is another {owner} by now") from error
            raise
        return await self._wire.decoded(answer, doing, lambda read: _known_as(owner, read))


def _status_of(owner: Owner) -> str:
    group = "/api" if "/" not in owner.api_version else "/apis"
    namespace, name = quote(owner.namespace, safe=""), quote(owner.name, safe="")
    return f"{group}/{owner.api_version}/namespaces/{namespace}/{owner.resource}/{name}/status"


def _known_as(owner: Owner, body: bytes) -> Owner:
    """Raises Unreadable."""
    try:
        found = msgspec.json.decode(body, type=_Owned)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"what is no object ({error})") from error
    for each in found.metadata.owner_references or ():
        above = each.owner(owner.namespace)
        if each.controller and is_plausible(above):
            return above
    return owner


def _time(now: int) -> str:
    return datetime.fromtimestamp(now / SECOND, UTC).isoformat(timespec="milliseconds")
