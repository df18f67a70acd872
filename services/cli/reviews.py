"""AdmissionReviews as an API server sends them, and what it is answered.

The query and the envelope are those of docs/design/kube-facts.md 4; what the API server fills in
before any webhook sees the object: `services.cli.defaults`.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from services.cli.pins import Pin
from shared.domain.pod_template import workload_of
from shared.domain.review import API_VERSION, KIND, GroupVersionKind, Status

CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"


class Asker(msgspec.Struct, frozen=True):
    """`request.userInfo`: who sent the object to the API server."""

    username: str
    groups: tuple[str, ...] = ("system:authenticated",)


REPLICASET_CONTROLLER = Asker(
    CONTROLLER,
    ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The response half of a review."""

    uid: str
    allowed: bool
    status: Status | None = None
    warnings: tuple[str, ...] = ()
    audit_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    patch: str = ""
    """A JSON Patch in base64."""

    @property
    def code(self) -> int:
        """The status code that the person's client gets."""
        return 200 if self.allowed else (self.status.code if self.status else 403)

    @property
    def message(self) -> str:
        """What the person reads."""
        return self.status.message if self.status else ""

    @property
    def pending(self) -> bool:
        """Whether asking again will bring another answer."""
        return not self.allowed and self.code in (429, 503)


class Reviewed(msgspec.Struct, frozen=True):
    """What became of a new object."""

    answer: Answer
    """Of /validate."""
    took: float
    """Seconds, of both calls."""
    pins: tuple[Pin, ...] = ()
    """What /mutate replaced before."""
    warnings: tuple[str, ...] = ()
    """Those of both calls."""
    not_mutated: str = ""
    """Why /mutate changed nothing, where that was no answer of its own."""


def pod_of_image(image: str, *, name: str, namespace: str) -> dict[str, Any]:
    """The smallest Pod that runs `image`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }


def kind_of(content: Mapping[str, Any]) -> GroupVersionKind:
    """What an object says it is; a Pod is taken for one whatever version stands beside it."""
    kind, version = str(content.get("kind")), str(content.get("apiVersion"))
    if kind == "Pod":
        return GroupVersionKind("", "v1", kind)
    group, _, version = version.rpartition("/")
    return GroupVersionKind(group, version, kind)


def resource_of(kind: GroupVersionKind) -> str | None:
    """The resource under which objects of that kind are judged; None where they are not."""
    if kind == GroupVersionKind("", "v1", "Pod"):
        return "pods"
    workload = workload_of(kind)
    return workload.resource if workload else None


def review_of(content: Mapping[str, Any], *, asker: Asker) -> dict[str, Any]:
    """The AdmissionReview of creating a Pod or a workload, with a fresh uid."""
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    named = kind_of({"kind": "Pod", **content})
    kind = {"group": named.group, "version": named.version, "kind": named.kind}
    resource = {
        "group": named.group,
        "version": named.version,
        "resource": resource_of(named) or "",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": metadata.get("name", ""),
            "namespace": metadata.get("namespace", ""),
            "operation": "CREATE",
            "userInfo": msgspec.to_builtins(asker),
            "object": content,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }
