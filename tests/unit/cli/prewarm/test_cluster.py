"""What of a cluster is to be judged: what runs, and what is to run."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from services.cli.prewarm.cluster import ClusterImages
from services.cli.prewarm.found import Found, NotRead, Told
from shared.adapters.memory.cluster import MemoryCluster
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from shared.domain.label_selector import LabelSelector
from shared.ports.cluster import RunningPod
from shared.ports.workloads import Template

WEB = Template("Deployment", "shop", "web", ("web:1",), {"pci": "true"}, {"team": "a"})
NIGHT = Template("CronJob", "shop", "night", ("night:1",))


class Workloads:
    """A cluster's, of which some kinds may not be listed."""

    kinds: Sequence[str] = ("deployments", "jobs", "cronjobs")

    async def templates(self, kind: str) -> AsyncGenerator[Sequence[Template], None]:
        if kind == "jobs":
            raise ClusterMisconfigured("403: bind the ClusterRole view")
        yield [WEB if kind == "deployments" else NIGHT]
        if kind == "deployments":
            yield [WEB]  # as after 410, when the listing begins anew

    async def judged(self) -> Sequence[LabelSelector]:
        return ()


class Twice(MemoryCluster):
    """An API server that forgot on the way what it was telling: it is told from the first."""

    async def pods(self) -> AsyncGenerator[Sequence[RunningPod], None]:
        for _ in range(2):
            async for page in super().pods():
                yield page


async def told_of(cluster: MemoryCluster) -> list[Told]:
    source = ClusterImages(cluster=cluster, workloads=Workloads())
    return [each async for each in source.told()]


async def test_what_runs_comes_first_then_what_makes_pods_each_once() -> None:
    cluster = Twice()
    cluster.pod("web-1", "web:1", namespace="shop", labels={"app": "web"}, annotations={"a": "b"})
    cluster.pod("web-1", "web:2", namespace="team")
    told = await told_of(cluster)
    assert [each for each in told if isinstance(each, Found)] == [
        Found("shop", ("web:1",), "Pod shop/web-1", True, {"app": "web"}, {"a": "b"}),
        Found("team", ("web:2",), "Pod team/web-1", True),
        Found("shop", ("web:1",), "Deployment shop/web", False, {"pci": "true"}, {"team": "a"}),
        Found("shop", ("night:1",), "CronJob shop/night"),
    ]


async def test_a_kind_that_may_not_be_listed_is_told_and_keeps_no_other_out() -> None:
    *_, unread, night = await told_of(MemoryCluster())
    assert unread == NotRead("the cluster's jobs", "403: bind the ClusterRole view")
    assert isinstance(night, Found)


async def test_a_cluster_whose_pods_cannot_be_listed_ends_it() -> None:
    cluster = MemoryCluster()
    cluster.away = True
    with pytest.raises(ClusterUnreachable):
        await told_of(cluster)
