"""Workloads as an API server sends them: each kind, and where its pod template stands."""

from typing import Any

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """A kind of workload, as Kubernetes' own API reference has it."""

    group: str
    version: str
    kind: str
    resource: str
    path: tuple[str, ...]
    """Of the pod template in the object."""


KINDS = (
    Kind("apps", "v1", "Deployment", "deployments", ("spec", "template")),
    Kind("apps", "v1", "ReplicaSet", "replicasets", ("spec", "template")),
    Kind("apps", "v1", "StatefulSet", "statefulsets", ("spec", "template")),
    Kind("apps", "v1", "DaemonSet", "daemonsets", ("spec", "template")),
    Kind("", "v1", "ReplicationController", "replicationcontrollers", ("spec", "template")),
    Kind("batch", "v1", "Job", "jobs", ("spec", "template")),
    Kind("batch", "v1", "CronJob", "cronjobs", ("spec", "jobTemplate", "spec", "template")),
    Kind("", "v1", "PodTemplate", "podtemplates", ("template",)),
)
DEPLOYMENT = KINDS[0]


def workload(kind: Kind, spec: dict[str, Any], *, name: str = "web") -> dict[str, Any]:
    """An object of `kind` whose pods have this spec."""
    content: dict[str, Any] = {"metadata": {"labels": {"app": name}}, "spec": spec}
    for step in reversed(kind.path):
        content = {step: content}
    version = f"{kind.group}/{kind.version}" if kind.group else kind.version
    meta = {"name": name, "namespace": "team"}
    return {"apiVersion": version, "kind": kind.kind, "metadata": meta, **content}


def review_of_workload(
    kind: Kind,
    new: dict[str, Any] | None,
    *,
    user: str = "ada@example.org",
    **changes: Any,
) -> dict[str, Any]:
    """An AdmissionReview of creating `new`; `changes` are fields of the request."""
    request = {
        "uid": "6b5cf0c8-0d3c-4a7b-9b0e-000000000002",
        "kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "resource": {"group": kind.group, "version": kind.version, "resource": kind.resource},
        "name": "web",
        "namespace": "team",
        "operation": "CREATE",
        "userInfo": {"username": user},
        "object": new,
        "oldObject": None,
        "dryRun": False,
        **changes,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
