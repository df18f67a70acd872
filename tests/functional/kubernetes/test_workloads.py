"""Pod templates of workloads, and whom imagegate's own webhooks are called for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.limits import MAX_PODS_PAGE, Pace
from shared.adapters.kubernetes.workloads import KubernetesWorkloads
from shared.domain.errors import ClusterMisconfigured
from shared.ports.workloads import Template
from tests.fakes.kubernetes import FakeKubernetes

OURS = "create.imagegate.dev"


@pytest.fixture
async def workloads(cluster: FakeKubernetes, token: Path) -> AsyncIterator[KubernetesWorkloads]:
    server = ApiServer(cluster.url, token)
    cluster.allowed |= {f"list {kind}" for kind in KubernetesWorkloads.kinds}
    cluster.allowed.add("list validatingwebhookconfigurations")
    async with KubernetesWorkloads(server=server, pace=Pace(answer=30.0)) as opened:
        yield opened


async def templates(workloads: KubernetesWorkloads, kind: str) -> list[Template]:
    return [each async for page in workloads.templates(kind) for each in page]


@pytest.mark.parametrize("kind", KubernetesWorkloads.kinds)
async def test_a_template_comes_with_images_and_what_its_author_wrote_on_its_pods(
    cluster: FakeKubernetes, workloads: KubernetesWorkloads, kind: str
) -> None:
    cluster.lists.workload(kind, "web", "a.corp/web:1", "b:2", "b:2", labels={"pci": "true"})
    (found,) = await templates(workloads, kind)
    assert found.kind.lower() + "s" == kind
    assert (found.namespace, found.name) == ("team", "web")
    assert found.images == ("a.corp/web:1", "b:2")
    assert found.labels == {"app": "web", "pci": "true"}


async def test_what_belongs_to_another_workload_is_told_by_that_one_alone(
    cluster: FakeKubernetes, workloads: KubernetesWorkloads
) -> None:
    cluster.lists.workload("replicasets", "of-a-deployment", "a:1", owner="apps/v1")
    cluster.lists.workload("replicasets", "of-an-operator", "b:1", owner="argoproj.io/v1alpha1")
    cluster.lists.workload("jobs", "of-a-cronjob", "c:1", owner="batch/v1")
    assert [each.name for each in await templates(workloads, "replicasets")] == ["of-an-operator"]
    assert await templates(workloads, "jobs") == []
    (job,) = cluster.lists.objects["jobs"].values()
    job["metadata"]["ownerReferences"][0]["controller"] = False
    assert [each.name for each in await templates(workloads, "jobs")] == ["of-a-cronjob"]


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (None, True),
        ([{"type": "Suspended", "status": "True"}], True),
        ([{"type": "Complete", "status": "False"}], True),
        ([{"type": "Complete", "status": "True"}], False),
        ([{"type": "Failed", "status": "True"}], False),
    ],
)
async def test_a_job_that_is_over_is_not_told(
    cluster: FakeKubernetes,
    workloads: KubernetesWorkloads,
    conditions: list[dict[str, str]] | None,
    *,
    told: bool,
) -> None:
    cluster.lists.workload("jobs", "once", "a:1", status={"conditions": conditions})
    assert bool(await templates(workloads, "jobs")) is told


async def test_all_of_many_come_in_pages(
    cluster: FakeKubernetes, workloads: KubernetesWorkloads
) -> None:
    names = [f"w{number:03}" for number in range(2 * MAX_PODS_PAGE + 1)]
    for name in names:
        cluster.lists.workload("deployments", name, "a:1")
    assert [each.name for each in await templates(workloads, "deployments")] == names


async def test_a_right_that_is_missing_is_named(
    cluster: FakeKubernetes, workloads: KubernetesWorkloads
) -> None:
    cluster.allowed.remove("list cronjobs")
    with pytest.raises(ClusterMisconfigured, match=r"cronjobs is forbidden.*--context"):
        await templates(workloads, "cronjobs")


async def test_whom_our_webhooks_are_called_for_is_what_they_say_of_new_pods(
    cluster: FakeKubernetes, workloads: KubernetesWorkloads
) -> None:
    expression = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-x"]}
    cluster.lists.webhook(OURS, selector={"matchExpressions": [expression]})
    cluster.lists.webhook("advice.imagegate.dev", resources=("deployments",))
    cluster.lists.webhook("update.imagegate.dev", operations=("UPDATE",))
    cluster.lists.webhook("somebody.else.dev", selector={"matchLabels": {"a": "b"}})
    (selector,) = await workloads.judged()
    assert selector.selects({"kubernetes.io/metadata.name": "shop"})
    assert not selector.selects({"kubernetes.io/metadata.name": "kube-x"})


async def test_without_our_webhooks_nobody_is_judged(workloads: KubernetesWorkloads) -> None:
    assert await workloads.judged() == []
