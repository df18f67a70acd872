"""Objects that make pods, as a person creates them."""

from typing import Any

import yaml

from tests.e2e.site import LATE, LATE_AT_MOST, Site
from tests.servers.kubernetes import Ran
from tests.servers.kubernetes_processes import PERSON

LABELS = {"app": "w"}
KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "ReplicationController": "v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}


def workload(kind: str, image: str) -> dict[str, Any]:
    """One whose pods are labelled, and have this image."""
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": image}]}
    template: dict[str, Any] = {"metadata": {"labels": LABELS}, "spec": spec}
    made: dict[str, Any] = {"template": template}
    if kind in {"Job", "CronJob"}:
        spec["restartPolicy"] = "Never"
    elif kind == "ReplicationController":
        made["selector"] = LABELS
    else:
        made["selector"] = {"matchLabels": LABELS}
    if kind == "StatefulSet":
        made["serviceName"] = "w"
    if kind == "CronJob":
        made = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": made}}
    return {
        "apiVersion": KINDS[kind],
        "kind": kind,
        "metadata": {"name": "w"},
        "spec": made,
    }


def create(site: Site, team: str, kind: str, image: str) -> Ran:
    """As a person; once more where imagegate could not look, since it then takes any."""
    text = yaml.safe_dump(workload(kind, image))
    command = ("create", "--filename=-", f"--namespace={team}")
    ran = site.cluster.kubectl(*command, stdin=text, user=PERSON)
    for _ in range(LATE_AT_MOST):
        if LATE not in ran.err:
            break
        site.cluster.kubectl("delete", kind, "w", f"--namespace={team}", user=PERSON)
        ran = site.cluster.kubectl(*command, stdin=text, user=PERSON)
    return ran


def begin(site: Site, team: str, kind: str) -> None:
    """Have a CronJob's hour come; the others make their pods by themselves."""
    if kind == "CronJob":
        command = ("create", "job", "w", "--from=cronjob/w", f"--namespace={team}")
        assert (made := site.cluster.kubectl(*command, user=PERSON)).code == 0, made


def pods(site: Site, team: str) -> list[Any]:
    items: list[Any] = site.cluster.get("pods", "--selector=app=w", namespace=team)["items"]
    return items


def events(site: Site, team: str) -> str:
    """As `kubectl get events` shows them."""
    return site.cluster.kubectl("get", "events", f"--namespace={team}").out
