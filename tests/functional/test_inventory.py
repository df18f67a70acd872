"""A cluster that is looked at: what its nodes are counts, and what it runs stays in use. The whole
of it beside an API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.worker.settings import WorkerSettings
from services.worker.wiring import cluster_of
from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.cluster import KubernetesCluster
from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rule, Rules, Tags
from tests.fakes.images import index_of, tiny_image
from tests.fakes.kubernetes import TOKEN, FakeKubernetes
from tests.house import House, house, memory_backends, pod, review_of
from tests.waiting import eventually

GOOD, BAD = (tiny_image(config={"Labels": {"which": which}}) for which in ("good", "bad"))
MANY = index_of((GOOD, "linux/amd64"), (BAD, "linux/arm64"))
LAX = Rules(default=Rule(tags=Tags.ALLOW))
OFTEN = WorkerSettings(imagegate_inventory_every=10)


class Site(msgspec.Struct, frozen=True):
    """Webhook, worker and cluster."""

    home: House
    cluster: FakeKubernetes

    async def put(self) -> str:
        return str(self.home.registry.put(MANY, "team/many:1"))

    async def refused(self, image: str) -> None:
        """It is, in the end."""
        review = review_of(pod(image))
        await self.home.asked_until(review, lambda answer: answer.code == 403, within=90)

    async def code(self, image: str) -> int:
        return (await self.home.settled(image)).code


@asynccontextmanager
async def site(
    folder: Path,
    *platforms: str,
    settings: WorkerSettings = OFTEN,
    rules: Rules = LAX,
    allowed: set[str] | None = None,
    policy_grace: float = 1e5,
) -> AsyncIterator[Site]:
    token = folder / "token"
    token.write_text(TOKEN)
    async with FakeKubernetes() as fake:
        fake.put("kube-system", {})
        fake.allowed = fake.allowed if allowed is None else allowed
        for at, platform in enumerate(platforms):
            fake.lists.node(f"node-{at}", platform)
        async with KubernetesCluster(server=ApiServer(fake.url, token)) as cluster:
            backends = msgspec.structs.replace(memory_backends(), cluster=cluster)
            async with house(
                folder,
                backends=backends,
                rules=rules,
                worker_settings=settings,
                policy_grace=policy_grace,
            ) as home:
                home.anchore.store.decide(BAD.digest, "stop")
                yield Site(home, fake)


async def test_what_only_other_machines_run_keeps_nothing_from_starting(tmp_path: Path) -> None:
    async with site(tmp_path, "linux/amd64") as here:
        await eventually(lambda: here.cluster.lists.count("pods") > 0)
        assert await here.code(await here.put()) == 200
        assert set(here.home.anchore.store.submits) == {GOOD.digest}


async def test_a_bad_manifest_for_a_node_that_is_there_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path, "linux/amd64", "linux/arm64", policy_grace=0) as here:
        image = await here.put()
        await here.refused(image)
        assert "arm64" in here.home.worker_metrics.render().decode()


async def test_a_node_of_a_new_platform_makes_what_is_in_use_judged_and_then_counts(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, "linux/amd64") as here:
        await eventually(lambda: here.cluster.lists.count("pods") > 0)
        image = await here.put()
        assert await here.code(image) == 200
        here.cluster.lists.pod("web-1", f"{image}@{MANY.digest}")
        here.cluster.lists.node("arm", "linux/arm64")
        # Nobody asks for it but the survey.
        await eventually(lambda: BAD.digest in here.home.anchore.store.submits, within=90)
        await here.refused(image)


async def test_an_image_that_runs_and_nobody_asked_about_is_in_use(tmp_path: Path) -> None:
    async with site(tmp_path, "linux/amd64") as here:
        here.cluster.lists.pod("old-1", "registry.corp/old/app:1")
        usage = here.home.backends.usage

        async def marked() -> bool:
            used = await usage.recent(limit=10)
            return [each.use.reference for each in used] == ["registry.corp/old/app:1"]

        await eventually(marked, within=60)
        assert here.home.asked_of_anchore == {}


async def test_a_worker_that_may_not_look_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tmp_path, "linux/amd64", allowed={"get"}) as here:
        await eventually(lambda: "bind the ClusterRole imagegate-worker" in str(said(caplog)))
        assert await here.code(await here.put()) == 200


def said(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [vars(record).get("why") for record in caplog.records if record.levelname == "ERROR"]


async def test_an_inventory_that_must_be_and_cannot_is_refused_at_the_start(
    tmp_path: Path,
) -> None:
    nowhere = WorkerSettings(imagegate_inventory="on")
    with pytest.raises(InvalidSettings, match="IMAGEGATE_INVENTORY is on"):
        async with cluster_of(nowhere):
            pass
    tokenless = msgspec.structs.replace(
        nowhere,
        imagegate_kubernetes_url="https://127.0.0.1:1",
        imagegate_kubernetes_token_file=tmp_path / "none",
    )
    with pytest.raises(InvalidSettings, match="token"):
        async with cluster_of(tokenless):
            pass


async def test_without_a_word_of_it_a_worker_looks_where_it_can() -> None:
    async with cluster_of(WorkerSettings()) as cluster:
        assert cluster is None
    in_a_pod = WorkerSettings(kubernetes_service_host="10.96.0.1")
    async with cluster_of(in_a_pod) as cluster:
        assert cluster is None  # no token is mounted here
    off = msgspec.structs.replace(in_a_pod, imagegate_inventory="off")
    async with cluster_of(off) as cluster:
        assert cluster is None
