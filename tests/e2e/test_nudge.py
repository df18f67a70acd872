"""Blocked workloads go on at once when their image has passed, though their controller's back-off
had long to run: shown with two webhooks that hold no rights but those that the chart gives."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from shared.adapters.kubernetes.nudges import ANNOTATION
from tests.e2e.nudged_site import NudgedSite, workload
from tests.e2e.site import until
from tests.servers.kubernetes import Ran

AGED = 90.0
"""Seconds after the first denial: a controller tried at 82 s, and tries again at 164 s; a Job's at
63 s, and again at 127 s."""
SOON = 25.0
"""Seconds within which the pod must be there: none of the controllers comes back by itself before
that, and a busy machine is waited for."""

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicationController")
pytestmark = pytest.mark.timeout(600)

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}
"""It is nowhere: what it owned would be deleted."""
RESOURCES = "replicasets,statefulsets,daemonsets,jobs,replicationcontrollers"


@pytest.fixture(scope="module")
def nudged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NudgedSite]:
    with NudgedSite(tmp_path_factory.mktemp("nudged") / "files").running() as running:
        yield running


def test_every_kind_of_workload_rolls_out_moments_after_its_image_has_passed(
    nudged: NudgedSite,
) -> None:
    team, image = nudged.namespace("rolled-out"), nudged.held_image("team/nudged:1")
    for kind in KINDS:
        made = nudged.cluster.apply(workload(kind, kind.lower(), image), namespace=team)
        assert made.code == 0, made
    time.sleep(AGED)
    assert _pods(nudged, team) == set()
    assert nudged.number("imagegate_blocked_owners") == 2 * len(KINDS)
    before = _generations(nudged, team)
    done, taken = _nudges(nudged)
    nudged.late.release(image)
    many = done + len(KINDS)
    assert until(lambda: _nudges(nudged)[0] >= many, within=180), _look(nudged, team)
    passed = time.monotonic()
    names = {kind.lower() for kind in KINDS}
    assert until(lambda: _pods(nudged, team) == names, within=SOON), _look(nudged, team)
    assert time.monotonic() - passed < SOON
    # Once each, though two webhooks denied it, and nothing but the annotation has changed.
    time.sleep(2)
    assert _nudges(nudged) == (many, taken + len(KINDS)), nudged.said()
    assert _generations(nudged, team) == before
    assert all(ANNOTATION in each["metadata"]["annotations"] for each in _owners(nudged, team))


def test_people_read_on_the_deployment_that_it_waits_and_that_it_passed(
    nudged: NudgedSite,
) -> None:
    team, image = nudged.namespace("told"), nudged.held_image("team/told:1")
    nudged.cluster.apply(workload("Deployment", "web", image), namespace=team)

    def said() -> Ran:
        return nudged.cluster.kubectl("describe", "deployment", "web", f"--namespace={team}")

    assert until(lambda: "ImagePending" in said().out), said()
    nudged.late.release(image)
    assert until(lambda: "ImagePassed" in said().out), said()
    lines = [line.split() for line in said().out.splitlines() if "imagegate.dev/webhook" in line]
    assert sorted(line[:2] for line in lines) == [
        ["Normal", "ImagePassed"],
        ["Normal", "ImagePending"],
    ]


def test_an_image_that_fails_is_said_at_once_and_an_exception_has_it_run(
    nudged: NudgedSite,
) -> None:
    team, image = nudged.namespace("excepted"), nudged.bad_image("team/bad:1")
    made = nudged.cluster.apply(workload("StatefulSet", "db", image), namespace=team)
    assert made.code == 0, made

    def said() -> Ran:
        return nudged.cluster.kubectl("describe", "statefulset", "db", f"--namespace={team}")

    assert until(lambda: "ImageRefused" in said().out), said()
    time.sleep(AGED)
    assert _pods(nudged, team) == set()
    allowed = nudged.imagegate(
        "allow", image, f"--namespace={team}", "--for=1h", "--reason=it is tried"
    )
    assert allowed.code == 0, allowed
    assert until(lambda: _pods(nudged, team) == {"db"}, within=SOON), _look(nudged, team)


def test_the_right_is_one_annotation_and_nothing_else(nudged: NudgedSite) -> None:
    team, image = nudged.namespace("rights"), nudged.judged(nudged.image("team/good:1"))
    nudged.cluster.apply(workload("StatefulSet", "db", image), namespace=team)
    path = f"/apis/apps/v1/namespaces/{team}/statefulsets/db"

    def of_metadata(**fields: object) -> tuple[int, str]:
        return nudged.patch(f"{path}/status", {"metadata": fields})

    # Policies count a moment after they are made.
    assert until(lambda: of_metadata(labels={"a": "b"})[0] == 422), of_metadata(labels={"a": "b"})
    assert (answer := of_metadata(annotations={ANNOTATION: "now"}))[0] == 200, answer
    for refused, why in (
        (of_metadata(annotations={"other": "1"}), "no annotation but imagegate.dev/nudged"),
        (of_metadata(annotations={APPLIED: None}), "no annotation but imagegate.dev/nudged"),
        (of_metadata(labels={"a": "c"}), "no labels, finalizers or owners"),
        (of_metadata(finalizers=["a.b/c"]), "no labels, finalizers or owners"),
        (of_metadata(ownerReferences=[OTHER]), "no labels, finalizers or owners"),
        (nudged.patch(f"{path}/status", {"status": {"replicas": 7}}), "changes no status"),
        (nudged.patch(path, {"spec": {"replicas": 7}}), "cannot patch resource"),
    ):
        assert refused[0] in (403, 422), refused
        assert why in refused[1], refused


def _nudges(site: NudgedSite) -> tuple[int, int]:
    """Done, and left to the other webhook."""
    return (
        site.number("imagegate_nudges_total", outcome="done"),
        site.number("imagegate_nudges_total", outcome="taken"),
    )


def _pods(site: NudgedSite, team: str) -> set[str]:
    """The workloads that have one."""
    return {
        each["metadata"]["labels"]["app"]
        for each in site.cluster.get("pods", namespace=team)["items"]
    }


def _owners(site: NudgedSite, team: str) -> list[Any]:
    found: list[Any] = site.cluster.get(RESOURCES, namespace=team)["items"]
    return found


def _generations(site: NudgedSite, team: str) -> dict[str, int]:
    return {each["metadata"]["uid"]: each["metadata"]["generation"] for each in _owners(site, team)}


def _look(site: NudgedSite, team: str) -> str:
    """What a person would look at."""
    return site.cluster.kubectl("get", f"{RESOURCES},pods,events", f"--namespace={team}").out
