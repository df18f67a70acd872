"""What every adapter of `shared.ports.cluster` promises."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.cluster import KubernetesCluster
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.memory.cluster import MemoryCluster
from shared.domain.errors import ClusterUnreachable
from shared.ports.cluster import Cluster, Node, RunningPod
from tests.fakes.kubernetes import TOKEN, FakeKubernetes, hang

APP = "registry.corp/team/app:1.0"
PATIENT = Pace(connect=30.0, answer=30.0)
HURRIED = Pace(answer=1.0)
"""For what becomes of a question without an answer."""


class There(msgspec.Struct, frozen=True):
    """A cluster, and how things come to be in it."""

    cluster: Cluster
    pod: Callable[..., None]
    node: Callable[..., None]
    namespace: Callable[[str, Mapping[str, str]], None]
    goes_away: Callable[[], None]

    async def pods(self) -> list[RunningPod]:
        return [each async for page in self.cluster.pods() for each in page]

    async def nodes(self) -> list[Node]:
        return [each async for page in self.cluster.nodes() for each in page]


@pytest.fixture
def pace() -> Pace:
    return PATIENT


@pytest.fixture(params=["memory", "kubernetes"])
async def there(request: pytest.FixtureRequest, tmp_path: Path, pace: Pace) -> AsyncIterator[There]:
    if request.param == "memory":
        memory = MemoryCluster()
        yield There(
            memory,
            memory.pod,
            memory.node,
            memory.namespace,
            lambda: setattr(memory, "away", True),
        )
        return
    token = tmp_path / "token"
    token.write_text(TOKEN)
    async with FakeKubernetes() as fake:
        fake.put("kube-system", {})

        def goes_away() -> None:
            fake.faults |= dict.fromkeys(("get", "list", "list pods", "list nodes"), hang)

        server = ApiServer(fake.url, token)
        async with KubernetesCluster(server=server, pace=pace) as cluster:
            lists = fake.lists
            yield There(
                cluster,
                lists.pod,
                lists.node,
                lambda name, labels: fake.put(name, dict(labels)),
                goes_away,
            )


async def test_an_empty_cluster_runs_nothing_and_has_no_nodes(there: There) -> None:
    assert (await there.pods(), await there.nodes()) == ([], [])


async def test_a_pod_comes_with_its_images_as_its_spec_names_them(there: There) -> None:
    there.pod("web-1", APP, "sidecar:2", namespace="payments", labels={"tier": "prod"})
    (pod,) = await there.pods()
    assert (pod.namespace, pod.name) == ("payments", "web-1")
    assert pod.images == (APP, "sidecar:2")
    assert pod.labels["tier"] == "prod"


async def test_an_image_that_stands_twice_in_a_pod_comes_once(there: There) -> None:
    there.pod("web-1", APP, APP)
    (pod,) = await there.pods()
    assert pod.images == (APP,)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_pod_that_has_ended_does_not_run(there: There, phase: str) -> None:
    there.pod("job-1", APP, phase=phase)
    assert await there.pods() == []


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", ""])
async def test_a_pod_that_may_run_yet_is_told(there: There, phase: str) -> None:
    there.pod("web-1", APP, phase=phase)
    assert [pod.name for pod in await there.pods()] == ["web-1"]


async def test_more_pods_than_a_page_has_all_come(there: There) -> None:
    names = [f"web-{at:04}" for at in range(350)]
    for name in names:
        there.pod(name, APP)
    assert sorted(pod.name for pod in await there.pods()) == names


async def test_no_page_holds_very_many_pods(there: There) -> None:
    for at in range(350):
        there.pod(f"web-{at}", APP)
    assert max([len(page) async for page in there.cluster.pods()]) <= 250


async def test_nodes_come_with_their_platforms(there: There) -> None:
    there.node("a", "linux/amd64")
    there.node("b", "linux/arm64")
    found = {node.name: node.platform for node in await there.nodes()}
    assert found == {"a": "linux/amd64", "b": "linux/arm64"}


async def test_a_node_that_tells_no_platform_has_none(there: There) -> None:
    there.node("new", "")
    assert await there.nodes() == [Node("new", "")]


async def test_a_cluster_is_the_same_each_time(there: There) -> None:
    identity = await there.cluster.identity()
    assert identity
    assert await there.cluster.identity() == identity


async def test_labels_of_namespaces_come_by_their_names(there: There) -> None:
    there.namespace("team-a", {"tier": "prod"})
    there.namespace("team-b", {})
    labels = await there.cluster.namespace_labels()
    assert labels["team-a"]["tier"] == "prod"
    assert "tier" not in labels["team-b"]
    assert "team-c" not in labels


@pytest.mark.parametrize("pace", [HURRIED])
async def test_who_is_away_is_said_to_be_by_each_question(there: There) -> None:
    there.pod("web-1", APP)
    there.goes_away()
    with pytest.raises(ClusterUnreachable):
        await there.pods()
    with pytest.raises(ClusterUnreachable):
        await there.nodes()
    with pytest.raises(ClusterUnreachable):
        await there.cluster.namespace_labels()
    with pytest.raises(ClusterUnreachable):
        await there.cluster.identity()
