"""Kubernetes Events (`events.k8s.io/v1`), which `kubectl describe` shows beneath an object.

An Event's name is made of what it is about, so that the API server tells the second process that
wants to make it (409) that it is there.
"""

import hashlib
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from shared.adapters.kubernetes.failures import Conflict, NotThere
from shared.adapters.kubernetes.nudges import MERGE
from shared.adapters.kubernetes.wire import Wire
from shared.domain.errors import OwnerGone
from shared.domain.pointer import SECOND
from shared.ports.clock import Clock
from shared.ports.nudging import MAX_NOTE, OwnerEvent

API = "events.k8s.io/v1"
CONTROLLER = "imagegate.dev/webhook"
"""As `kubectl describe` names the sender."""
ACTION = "Judging"

MAX_INSTANCE = 128
_NAME = 200
"""Characters of the owner's name in that of an Event, which has at most 253."""


class KubernetesEvents:
    """A `shared.ports.nudging.EventSink`, over a wire that somebody else opens."""

    def __init__(self, *, wire: Wire, clock: Clock, instance: str) -> None:
        """`instance`: the name of this process."""
        self._wire = wire
        self._clock = clock
        self._instance = instance[:MAX_INSTANCE]

    async def tell(self, event: OwnerEvent, *, times: int) -> bool:
        return await (self._count(event, times) if times > 1 else self._make(event))

    async def _make(self, event: OwnerEvent) -> bool:
        owner = event.owner
        body = {
            "apiVersion": API,
            "kind": "Event",
            "metadata": {"name": _name(event), "namespace": owner.namespace},
            "eventTime": self._now(),
            "type": "Warning" if event.reason.is_warning else "Normal",
            "reason": event.reason.value,
            "action": ACTION,
            "note": _within(event.note, MAX_NOTE),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": owner.api_version,
                "kind": owner.kind,
                "namespace": owner.namespace,
                "name": owner.name,
                "uid": owner.uid,
            },
        }
        try:
            await self._wire.send(
                "POST", _path(owner.namespace), msgspec.json.encode(body), doing="create an Event"
            )
        except Conflict:
            return False
        except NotThere as error:
            raise OwnerGone(f"there is no namespace {owner.namespace} any more") from error
        return True

    async def _count(self, event: OwnerEvent, times: int) -> bool:
        body = {"series": {"count": times, "lastObservedTime": self._now()}}
        path = f"{_path(event.owner.namespace)}/{quote(_name(event), safe='')}"
        try:
            await self._wire.send(
                "PATCH", path, msgspec.json.encode(body), doing="patch an Event", form=MERGE
            )
        except NotThere:
            return False
        return True

    def _now(self) -> str:
        now = datetime.fromtimestamp(self._clock.now() / SECOND, UTC)
        return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _path(namespace: str) -> str:
    return f"/apis/{API}/namespaces/{quote(namespace, safe='')}/events"


def _name(event: OwnerEvent) -> str:
    what = "\n".join((event.owner.uid, event.reason, event.about))
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    return f"{event.owner.name[:_NAME].rstrip('.-')}.{digest}"


def _within(text: str, limit: int) -> str:
    """So many bytes of it, as Kubernetes counts them."""
    return text.encode()[:limit].decode(errors="ignore")
