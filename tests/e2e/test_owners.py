"""What a real API server answers to nudges and Events where something of the cluster is in the way.
Here the rights are an administrator's."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.events import KubernetesEvents
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.nudges import ADVICE, ANNOTATION, KubernetesNudging
from shared.adapters.kubernetes.wire import Wire
from shared.domain.errors import ClusterRefused, ClusterUnreachable, OwnerGone
from shared.domain.owner import Owner
from shared.ports.nudging import OwnerEvent, Reason
from shared.runtime.clock import SystemClock
from tests.e2e.site import until
from tests.servers.kubernetes import KubernetesServer

HELD = "imagegate.dev/held"
"""A finalizer: what has it stays, and its namespace goes on being deleted, until it is taken."""


class Subject(NamedTuple):
    nudging: KubernetesNudging
    events: KubernetesEvents


@pytest.fixture
async def subject(cluster: KubernetesServer, tmp_path: Path) -> AsyncIterator[Subject]:
    token = tmp_path / "token"
    token.write_text(cluster.token)
    clock = SystemClock()
    server = ApiServer(cluster.url, token, ca_file=cluster.ca_file)
    async with Wire(server=server, pace=Pace(answer=60.0), advice=ADVICE) as wire:
        yield Subject(
            KubernetesNudging(wire=wire, clock=clock),
            KubernetesEvents(wire=wire, clock=clock, instance="webhook-1"),
        )


@pytest.fixture
def owner(cluster: KubernetesServer, namespace: str) -> Iterator[Owner]:
    """A ReplicaSet that wants no pods, and that stays for as long as the test lasts."""
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "registry.example/team/app:1"}]},
    }
    applied = cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "web", "finalizers": [HELD]},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        },
        namespace=namespace,
    )
    assert applied.code == 0, applied
    yield Owner("apps/v1", "ReplicaSet", namespace, "web", _metadata(cluster, namespace)["uid"])
    freed = json.dumps({"metadata": {"finalizers": None}})
    cluster.kubectl("patch", "replicaset", "web", f"-n{namespace}", "--type=merge", f"-p{freed}")


async def test_in_a_namespace_that_is_being_deleted_a_nudge_is_taken_and_an_event_is_not(
    cluster: KubernetesServer, namespace: str, owner: Owner, subject: Subject
) -> None:
    event = _event(owner)
    assert await subject.events.tell(event, times=1)
    deleted = cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    assert deleted.code == 0, deleted
    # All that is in it is being deleted by then, and Events have no finalizers.
    assert until(lambda: "deletionTimestamp" in _metadata(cluster, namespace))
    assert until(lambda: cluster.get("events.events.k8s.io", namespace=namespace)["items"] == [])

    assert await subject.nudging.known_as(owner) == owner
    assert await subject.nudging.nudge(owner) == owner
    assert ANNOTATION in _metadata(cluster, namespace)["annotations"]
    assert not await subject.events.tell(event, times=2)
    with pytest.raises(OwnerGone, match=f"no namespace {namespace} any more"):
        await subject.events.tell(event, times=1)


async def test_in_a_namespace_that_is_gone_both_are_gone(
    cluster: KubernetesServer, owner: Owner, subject: Subject
) -> None:
    nowhere = Owner(owner.api_version, owner.kind, "nowhere", owner.name, owner.uid)
    with pytest.raises(OwnerGone, match="there is no ReplicaSet nowhere/web any more"):
        await subject.nudging.nudge(nowhere)
    with pytest.raises(OwnerGone, match="no namespace nowhere any more"):
        await subject.events.tell(_event(nowhere), times=1)


async def test_a_policy_of_the_cluster_is_a_refusal_and_no_owner_that_is_gone(
    cluster: KubernetesServer, namespace: str, owner: Owner, subject: Subject
) -> None:
    with _applied(cluster, *_policy(namespace)):
        assert until(lambda: not _is_patched(cluster, namespace)), "policies count a moment later"
        for call in (subject.nudging.nudge, subject.nudging.known_as):
            with pytest.raises(ClusterRefused, match=r"answered 422 .*have that let us pass"):
                await call(owner)


async def test_a_webhook_of_others_that_does_not_answer_is_no_refusal(
    cluster: KubernetesServer, namespace: str, owner: Owner, subject: Subject
) -> None:
    """So that it is told from nothing but an API server that fails: whoever is in its way is
    tried after all others."""
    with _applied(cluster, _webhook(namespace)):
        assert until(lambda: not _is_patched(cluster, namespace)), "webhooks count a moment later"
        with pytest.raises(ClusterUnreachable, match=r"answered 500 .*failed calling webhook") as e:
            await subject.nudging.nudge(owner)
    assert not isinstance(e.value, ClusterRefused)


def _event(owner: Owner) -> OwnerEvent:
    return OwnerEvent(owner, Reason.PASSED, "image app:1: may run now", "app:1")


def _metadata(cluster: KubernetesServer, namespace: str) -> Any:
    return cluster.get("replicaset", "web", namespace=namespace)["metadata"]


def _is_patched(cluster: KubernetesServer, namespace: str) -> bool:
    """Whether somebody's patch of its status is taken."""
    patch = json.dumps({"metadata": {"annotations": {"tried": str(time.monotonic())}}})
    options = ("--subresource=status", "--type=merge", f"--patch={patch}")
    return not cluster.kubectl("patch", "replicaset", "web", f"-n{namespace}", *options).code


@contextmanager
def _applied(cluster: KubernetesServer, *objects: dict[str, Any]) -> Iterator[None]:
    """They belong to the whole cluster, which others use afterwards."""
    applied = cluster.apply(*objects)
    assert applied.code == 0, applied
    try:
        yield
    finally:
        for each in objects:
            cluster.kubectl("delete", each["kind"].lower(), each["metadata"]["name"])


def _in(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def _rules() -> list[dict[str, Any]]:
    return [
        {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "operations": ["UPDATE"],
            "resources": ["replicasets/status"],
        }
    ]


def _policy(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Nobody may patch it there."""
    api = "admissionregistration.k8s.io/v1"
    name = f"no-touch-{namespace}"
    return (
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": _rules()},
                "validations": [{"expression": "false", "message": "do not touch"}],
            },
        },
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": _in(namespace)},
            },
        },
    )


def _webhook(namespace: str) -> dict[str, Any]:
    """Nobody listens there."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"away-{namespace}"},
        "webhooks": [
            {
                "name": "away.test.example",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": _rules(),
                "namespaceSelector": _in(namespace),
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
