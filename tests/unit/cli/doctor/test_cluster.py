"""What is asked of a cluster, in which order, and what is made of what it may not tell."""

import re
from pathlib import Path
from typing import Any

import pytest

from services.cli.doctor.remarks import Level, Remark
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from tests.unit.cli.doctor.fake_cluster import PIN, WEBHOOK, Cluster, pod
from tests.unit.cli.doctor.hooks import judging, service


def of(part: str, remarks: list[Remark]) -> list[Remark]:
    return [each for each in remarks if each.part == part]


async def test_an_installation_that_is_whole_has_nothing_bad() -> None:
    cluster = Cluster()
    remarks = await cluster.remarks()
    assert {each.level for each in remarks} <= {Level.GOOD, Level.NOTE, Level.WARN}
    assert [each.said for each in remarks if each.level is Level.WARN] == [
        "create.imagegate.dev has no CA bundle: the API server believes only whom its own machine "
        "trusts"
    ]
    assert of("nodes", remarks)[0].said == "4 nodes, linux/amd64, linux/arm64"
    assert cluster.seen.exempt == {"kube-system", "imagegate"}
    assert set(cluster.seen.namespaces) == {"kube-system", "imagegate", "team"}


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("v1.36.3", Level.GOOD),
        ("v1.30.0", Level.GOOD),
        ("v1.31.4-eks-2d5f260", Level.GOOD),
        ("v1.32.1+k3s1", Level.GOOD),
        ("v1.33-alpha", Level.GOOD),
        ("v2.0.0", Level.GOOD),
        ("v1.29.14", Level.BAD),
        ("v1.9", Level.BAD),
        ("", Level.WARN),
        ("nginx", Level.WARN),
        ("v1", Level.WARN),
    ],
)
async def test_a_version_is_old_by_its_numbers(version: str, level: Level) -> None:
    cluster = Cluster()
    cluster.calls_itself = version
    (remark,) = of("kubernetes", await cluster.remarks())
    assert remark.level is level


@pytest.mark.parametrize(
    ("behind", "level", "said"),
    [
        (0.0, Level.GOOD, "agree"),
        (5.0, Level.GOOD, "agree"),
        (-5.0, Level.GOOD, "agree"),
        (61.0, Level.WARN, "is 61 s behind ours"),
        (-61.0, Level.WARN, "is 61 s ahead of ours"),
    ],
)
async def test_clocks_are_compared_both_ways(behind: float, level: Level, said: str) -> None:
    cluster = Cluster()
    cluster.is_behind = behind
    (remark,) = of("clock", await cluster.remarks())
    assert remark.level is level
    assert said in remark.said


async def test_where_nobody_answers_there_is_one_remark() -> None:
    cluster = Cluster()
    cluster.refuses["version"] = ClusterUnreachable("nobody there")
    (remark,) = await cluster.remarks()
    assert (remark.level, remark.said) == (Level.UNASKED, "nobody there")


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("ValidatingWebhookConfiguration", "webhook configuration"),
        ("MutatingWebhookConfiguration", "webhook configuration"),
        ("Namespace", "namespaces"),
        ("Node", "nodes"),
        ("ClusterRole", "who gets past"),
        ("RoleBinding", "who gets past"),
    ],
)
async def test_what_may_not_be_listed_is_said_and_the_rest_is_looked_at(
    kind: str, part: str
) -> None:
    cluster = Cluster()
    cluster.refuses[kind] = ClusterMisconfigured(f"may not list {kind}")
    remarks = await cluster.remarks()
    assert [each.said for each in remarks if each.level is Level.UNASKED] == [
        f"may not list {kind}"
    ]
    (unasked,) = of(part, remarks)
    assert unasked.level is Level.UNASKED
    (trial,) = of("a pod on trial", remarks)
    assert trial.level is Level.GOOD


async def test_what_is_exempt_is_known_to_the_trial_and_to_who_gets_past() -> None:
    cluster = Cluster()
    cluster.objects["Role"] = [
        {
            "metadata": {"name": "make", "namespace": "imagegate"},
            "rules": [{"verbs": ["create"], "apiGroups": [""], "resources": ["pods"]}],
        }
    ]
    cluster.objects["RoleBinding"] = [
        {
            "metadata": {"name": "b", "namespace": "imagegate"},
            "roleRef": {"kind": "Role", "name": "make"},
            "subjects": [{"kind": "User", "name": "bob"}],
        }
    ]
    remarks = await cluster.remarks(namespace="imagegate")
    said = [each.said for each in of("who gets past", remarks)]
    assert "User bob may create pods in imagegate, where nothing is judged" in said
    (trial,) = of("a pod on trial", remarks)
    assert (trial.level, trial.said) == (
        Level.UNASKED,
        "imagegate is exempt: nothing there is judged",
    )


async def test_who_may_nudge_is_held_to_it_by_a_policy() -> None:
    cluster = Cluster()
    assert of("nudges", await cluster.remarks()) == []
    account = {"kind": "ServiceAccount", "name": "imagegate-webhook", "namespace": "imagegate"}
    role = {"kind": "ClusterRole", "name": "imagegate-nudge"}
    cluster.objects["ClusterRoleBinding"] = [{"roleRef": role, "subjects": [account]}]
    (remark,) = of("nudges", await cluster.remarks())
    assert remark.level is Level.BAD
    cluster.refuses["ValidatingAdmissionPolicy"] = ClusterMisconfigured("may not list policies")
    (remark,) = of("nudges", await cluster.remarks())
    assert (remark.level, remark.said) == (Level.UNASKED, "may not list policies")


async def test_the_page_names_every_right_that_is_used() -> None:
    """tests/e2e/test_doctor.py has a real API server grant them."""
    cluster = Cluster()
    account = {"kind": "ServiceAccount", "name": "imagegate-webhook", "namespace": "imagegate"}
    role = {"kind": "ClusterRole", "name": "imagegate-nudge"}
    cluster.objects["ClusterRoleBinding"] = [{"roleRef": role, "subjects": [account]}]
    await cluster.remarks()
    page = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
    (told,) = re.findall(r"create clusterrole imagegate-doctor --verb=list --resource=(\S+)", page)
    assert cluster.listed == set(told.split(","))


async def test_the_bundle_of_the_one_that_pins_is_looked_at_too() -> None:
    cluster = Cluster()
    (pinning,) = cluster.objects["MutatingWebhookConfiguration"]
    called = PIN["clientConfig"] | {"caBundle": "Tk8="}
    pinning["webhooks"] = [PIN | {"clientConfig": called}]
    said = [each.said for each in of("certificates", await cluster.remarks())]
    assert "the CA bundle of pin.imagegate.dev holds no PEM certificate" in said


async def test_where_nothing_is_to_be_pinned_nobody_need_pin() -> None:
    cluster = Cluster()
    cluster.objects["MutatingWebhookConfiguration"] = []
    without = [each for each in await cluster.remarks() if each.level is Level.BAD]
    assert "nothing pins" in without[0].said
    assert not [each for each in await cluster.remarks(pinning=False) if each.level is Level.BAD]


async def test_pods_behind_the_service_are_counted() -> None:
    cluster = Cluster()
    cluster.objects["Pod"].append(pod("going", deletionTimestamp="2026-01-01T00:00:00Z"))
    cluster.objects["Pod"].append(pod("coming", ready="False"))
    (said,) = of("webhooks", await cluster.remarks())
    assert said.level is Level.GOOD
    assert said.said == "2 of 4 pods behind the Service imagegate/imagegate-webhook are ready"
    assert cluster.seen.webhooks == 2


@pytest.mark.parametrize(
    ("pods", "todo"),
    [
        ([pod("b", ready="False"), pod("a", ready="False")], "describe pod a`, then its log"),
        ([pod("other", labels={"app": "other"})], "describe rs` says why none is made"),
        ([{"metadata": {"name": "new", "labels": WEBHOOK}}], "describe pod new`"),
    ],
)
async def test_where_nobody_is_ready_to_answer_it_is_bad_and_says_where_to_look(
    pods: list[Any], todo: str
) -> None:
    cluster = Cluster()
    cluster.objects["Pod"] = pods
    (said,) = of("webhooks", await cluster.remarks())
    assert said.level is Level.BAD
    assert "nobody answers the API server" in said.said
    assert todo in said.todo
    assert "Stop enforcing" in said.todo
    assert cluster.seen.webhooks == 0


async def test_pods_behind_every_service_that_is_asked_are_counted() -> None:
    cluster = Cluster()
    (judges,) = cluster.objects["ValidatingWebhookConfiguration"]
    create, update = judging()
    judges["webhooks"] = [create, update | service(name="another")]
    assert len(of("webhooks", await cluster.remarks())) == 2
    assert cluster.seen.webhooks == 3


async def test_webhooks_and_workers_of_one_namespace_are_told_the_same() -> None:
    def told(name: str, cluster: str, labels: Any) -> Any:
        env = [{"name": "IMAGEGATE_CLUSTER", "value": cluster}]
        return pod(name, labels=labels) | {"spec": {"containers": [{"env": env}]}}

    cluster = Cluster()
    worker = {"app.kubernetes.io/name": "imagegate", "app.kubernetes.io/component": "worker"}
    others = worker | {"app.kubernetes.io/name": "other"}
    cluster.objects["Pod"] = [told("a", "north", WEBHOOK), told("b", "south", others)]
    assert of("settings", await cluster.remarks()) == []
    cluster.objects["Pod"].append(told("c", "south", worker))
    (said,) = of("settings", await cluster.remarks())
    assert said.level is Level.WARN
    assert "of webhooks is north, of workers south" in said.said


async def test_a_service_that_chooses_no_pods_is_left_to_the_pod_on_trial() -> None:
    cluster = Cluster()
    cluster.objects["Service"] = [{"metadata": {"name": "imagegate-webhook"}, "spec": {}}]
    assert of("webhooks", await cluster.remarks()) == []
    assert cluster.seen.webhooks is None


async def test_pods_that_one_may_not_read_are_not_asked_for() -> None:
    cluster = Cluster()
    cluster.refuses["Pod"] = ClusterMisconfigured("may not list pods")
    (said,) = of("webhooks", await cluster.remarks())
    assert said.level is Level.UNASKED
    assert cluster.seen.webhooks is None
