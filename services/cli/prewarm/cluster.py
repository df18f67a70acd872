"""Images of a cluster: what runs, and what is to run without anybody doing anything."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from services.cli.prewarm.found import Found, NotRead, Told
from shared.domain.errors import ClusterUnreachable
from shared.ports.cluster import Cluster
from shared.ports.workloads import Workloads


class ClusterImages:
    """`Source`: all pods that run, and the templates of all workloads.

    A template is told though pods of it run: the next pod has its tag, which may name something
    else by now. So a CronJob of the night and a Deployment without replicas are in it.
    """

    def __init__(self, *, cluster: Cluster, workloads: Workloads) -> None:
        self._cluster = cluster
        self._workloads = workloads

    async def told(self) -> AsyncIterator[Told]:
        """Pods, then templates, each once though a listing may begin anew. Raises
        ClusterUnreachable where pods cannot be listed; a kind of workload that cannot is told as
        not read."""
        seen: set[str] = set()
        async for found in self._pods():
            if found.title not in seen:
                seen.add(found.title)
                yield found
        for kind in self._workloads.kinds:
            try:
                async for found in self._templates(kind):
                    if found.title not in seen:
                        seen.add(found.title)
                        yield found
            except ClusterUnreachable as error:
                yield NotRead(f"the cluster's {kind}", str(error))

    async def _pods(self) -> AsyncIterator[Found]:
        async with aclosing(self._cluster.pods()) as pages:
            async for page in pages:
                for pod in page:
                    yield Found(
                        namespace=pod.namespace,
                        images=pod.images,
                        title=f"Pod {pod.namespace}/{pod.name}",
                        runs=True,
                        labels=pod.labels,
                        annotations=pod.annotations,
                    )

    async def _templates(self, kind: str) -> AsyncIterator[Found]:
        async with aclosing(self._workloads.templates(kind)) as templates:
            async for made in templates:
                for each in made:
                    yield Found(
                        namespace=each.namespace,
                        images=each.images,
                        title=f"{each.kind} {each.namespace}/{each.name}",
                        labels=each.labels,
                        annotations=each.annotations,
                    )
