"""Whole pods and nodes as a Kubernetes API server lists them, with much that nobody asked for.

Pages with continue tokens, field selectors of phases, 410 for a token that is too old: as
kube-apiserver 1.36 does it (docs/design/kube-facts.md 9).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

KINDS = {
    "pods": "PodList",
    "nodes": "NodeList",
    "deployments": "DeploymentList",
    "statefulsets": "StatefulSetList",
    "daemonsets": "DaemonSetList",
    "replicasets": "ReplicaSetList",
    "replicationcontrollers": "ReplicationControllerList",
    "jobs": "JobList",
    "cronjobs": "CronJobList",
    "validatingwebhookconfigurations": "ValidatingWebhookConfigurationList",
}


class Listed(msgspec.Struct, frozen=True):
    """One request for a list."""

    resource: str
    query: dict[str, str]


class Lists:
    """What of a cluster is listed."""

    def __init__(self) -> None:
        self.asked: list[Listed] = []
        self.objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        """By resource and by `namespace/name`; in that order they are listed."""
        self.forgets_after: int | None = None
        """Pages after which the next one is answered with 410, once."""
        self.padding = 0
        """Bytes that somebody wrote into the annotations of each."""

    def pod(
        self,
        name: str,
        *images: str,
        namespace: str = "team",
        phase: str = "Running",
        spec: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Make a pod with a container for each image; `spec`: what else stands there."""
        containers = [
            {"name": f"c{at}", "image": image, "imagePullPolicy": "Always", "resources": {}}
            for at, image in enumerate(images)
        ]
        self.objects["pods"][f"{namespace}/{name}"] = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"1c9be4b1-0d05-4f2c-b6ea-{abs(hash(name)) % 16**12:012x}",
                "labels": {"app": name, **(labels or {})},
                "annotations": dict(annotations or {}),
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": True}],
                "managedFields": [{"manager": "kube-controller-manager", "fieldsV1": {"f:a": {}}}],
            },
            "spec": {
                "containers": containers,
                "nodeName": "node-1",
                "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
                "volumes": [{"name": "token", "projected": {"sources": []}}],
                **(spec or {}),
            },
            "status": {
                "phase": phase,
                "containerStatuses": [
                    {"name": "c0", "image": "what-the-node-made-of-it", "imageID": "sha256:0"}
                ],
            },
        }

    def node(
        self,
        name: str,
        platform: str = "linux/amd64",
        *,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Make a node; an empty platform: its kubelet has told nothing yet."""
        system, _, machine = platform.partition("/")
        self.objects["nodes"][f"/{name}"] = {
            "metadata": {"name": name, "labels": dict(labels or {})},
            "spec": {"podCIDR": "10.0.0.0/24"},
            "status": {
                "nodeInfo": {"operatingSystem": system, "architecture": machine, "kernel": "6"},
                "images": [{"names": ["a@sha256:0", "a:1"], "sizeBytes": 1}] * 3,
            },
        }

    def workload(
        self,
        resource: str,
        name: str,
        *images: str,
        namespace: str = "team",
        labels: Mapping[str, str] | None = None,
        owner: str = "",
        status: Mapping[str, Any] | None = None,
    ) -> None:
        """Make what makes pods; `owner`: the apiVersion of what it belongs to."""
        containers = [{"name": f"c{at}", "image": image} for at, image in enumerate(images)]
        template: dict[str, Any] = {
            "metadata": {"creationTimestamp": None, "labels": {"app": name, **(labels or {})}},
            "spec": {"containers": containers, "restartPolicy": "Always"},
        }
        spec: dict[str, Any] = {"replicas": 0, "template": template}
        if resource == "cronjobs":
            spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}}
        owners = [{"apiVersion": owner, "kind": "K", "name": "o", "controller": True}]
        self.objects[resource][f"{namespace}/{name}"] = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"of": "the workload"},
                **({"ownerReferences": owners} if owner else {}),
            },
            "spec": spec,
            "status": dict(status or {}),
        }

    def webhook(
        self,
        name: str,
        *,
        resources: Sequence[str] = ("pods",),
        operations: Sequence[str] = ("CREATE",),
        selector: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a configuration of one validating webhook."""
        rules = [{"apiGroups": [""], "resources": resources, "operations": operations}]
        self.objects["validatingwebhookconfigurations"][f"/{name}"] = {
            "metadata": {"name": name},
            "webhooks": [{"name": name, "rules": rules, "namespaceSelector": selector or {}}],
        }

    def remove(self, resource: str, name: str, namespace: str = "") -> None:
        """Delete one."""
        del self.objects[resource][f"{namespace}/{name}"]

    def count(self, resource: str) -> int:
        """How often listings of them were begun."""
        return sum(
            each.resource == resource and "continue" not in each.query for each in self.asked
        )

    def page(self, resource: str, query: Mapping[str, str]) -> web.Response | None:
        """A page of them; None where the token is too old."""
        self.asked.append(Listed(resource, dict(query)))
        if self.forgets_after is not None and "continue" in query:
            self.forgets_after -= 1
            if self.forgets_after < 0:
                self.forgets_after = None
                return None
        there = self.objects[resource]
        after = query.get("continue", "")
        names = sorted(name for name in there if name > after and _selected(there[name], query))
        limit = int(query["limit"])
        meta = {"resourceVersion": "100"}
        if len(names) > limit:
            meta["continue"] = names[limit - 1]
        items = [self._padded(there[name]) for name in names[:limit]]
        kind = {"kind": KINDS[resource], "apiVersion": "v1"}
        return web.json_response({**kind, "metadata": meta, "items": items or None})

    def _padded(self, each: dict[str, Any]) -> dict[str, Any]:
        if not self.padding:
            return each
        metadata = {**each["metadata"], "annotations": {"last-applied": "x" * self.padding}}
        return {**each, "metadata": metadata}


def _selected(each: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    selector = query.get("fieldSelector", "")
    excluded: Sequence[str] = re.findall(r"status\.phase!=(\w+)", selector)
    return each.get("status", {}).get("phase") not in excluded
