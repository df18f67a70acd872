"""Who makes pods anew when one was refused: the controller that a pod's ownerReferences name.

What they say proves nothing (docs/design/behaviour.md 1): whoever writes a pod writes them. They
name whom to tell and to touch, and choose nothing else.
"""

import re
from collections.abc import Mapping

import msgspec

from shared.domain.workload import Metadata

RESOURCES: Mapping[tuple[str, str], str] = {
    ("apps/v1", "ReplicaSet"): "replicasets",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("apps/v1", "DaemonSet"): "daemonsets",
    ("batch/v1", "Job"): "jobs",
    ("v1", "ReplicationController"): "replicationcontrollers",
}
"""Those that make pods themselves, by apiVersion and kind."""

MAX_REFERENCES = 4_096
"""Bytes of a pod's ownerReferences; one takes about 200."""
MAX_NAME = 253
MAX_NAMESPACE = 63
MAX_UID = 64

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]|\.(?=[a-z0-9]))*")
"""A DNS subdomain, about."""
_KIND = re.compile(r"[A-Z][0-9A-Za-z]{0,62}")
_API_VERSION = re.compile(r"(?:[a-z0-9][-.a-z0-9]{0,252}/)?[a-z0-9]{1,63}")
_UID = re.compile(r"[-0-9A-Za-z]+")


class Owner(msgspec.Struct, frozen=True):
    """One object that makes pods, or one that owns such an object (a Deployment, a CronJob)."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def resource(self) -> str:
        """How its URL calls it; empty where it makes no pods itself."""
        return RESOURCES.get((self.api_version, self.kind), "")

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class OwnerReference(msgspec.Struct, rename="camel"):
    """One of `metadata.ownerReferences`."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None

    def owner(self, namespace: str) -> Owner:
        """Whom it names, in the namespace of the object that it stands in: there is no other."""
        return Owner(self.api_version, self.kind, namespace, self.name, self.uid)


_DECODER = msgspec.json.Decoder(list[OwnerReference] | None)


def maker_of(metadata: Metadata, namespace: str) -> Owner | None:
    """The controller that would make such a pod again; None where none does that we know, or where
    what is said of it is none of an API server's. Never raises."""
    raw = metadata.owner_references
    if len(raw) > MAX_REFERENCES:
        return None
    try:
        references = _DECODER.decode(raw) or ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for each in references:
        if each.controller:
            owner = each.owner(namespace)
            return owner if owner.resource and is_plausible(owner) else None
    return None


def is_plausible(owner: Owner) -> bool:
    """Whether it can be the name of anything in a cluster: it becomes part of a URL, and of the
    name of an Event. An API server checks little of what ownerReferences say."""
    return (
        len(owner.name) <= MAX_NAME
        and len(owner.namespace) <= MAX_NAMESPACE
        and len(owner.uid) <= MAX_UID
        and _NAME.fullmatch(owner.name) is not None
        and _NAME.fullmatch(owner.namespace) is not None
        and _UID.fullmatch(owner.uid) is not None
        and _KIND.fullmatch(owner.kind) is not None
        and _API_VERSION.fullmatch(owner.api_version) is not None
    )
