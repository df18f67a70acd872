"""Pods, nodes and namespaces as the Kubernetes API lists them (`shared.ports.cluster`)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from shared.adapters.kubernetes import objects
from shared.adapters.kubernetes.access import Server
from shared.adapters.kubernetes.kept import Kept
from shared.adapters.kubernetes.limits import MAX_PAGE, Pace
from shared.adapters.kubernetes.listing import Listing, PageOf
from shared.adapters.kubernetes.namespace_wire import PATH
from shared.adapters.kubernetes.nodes import nodes_of, seen
from shared.adapters.kubernetes.objects import Partial
from shared.adapters.kubernetes.over_wire import OverWire
from shared.adapters.kubernetes.pods import pods_of, running
from shared.domain.errors import ClusterUnreachable
from shared.ports.cluster import Node, RunningPod

ADVICE = (
    "bind the ClusterRole imagegate-worker (list of pods and nodes, get and list of namespaces) to "
    "the ServiceAccount of the workers, or set IMAGEGATE_INVENTORY=off"
)

FIRST = "kube-system"
"""The namespace that each cluster has from its beginning: its uid is the cluster's name."""


class KubernetesCluster(OverWire):
    """One cluster. An async context manager: nothing is opened before."""

    def __init__(self, *, server: Server, pace: Pace | None = None, advice: str = ADVICE) -> None:
        """`advice`: what to do where a right is missing."""
        super().__init__(server=server, pace=pace or Pace(), advice=advice)
        self._pods = pods_of(self._wire)
        self._nodes = nodes_of(self._wire)
        self._namespaces: Listing[Partial] = Listing(
            wire=self._wire,
            path=PATH,
            kind="PartialObjectMetadataList",
            doing="list namespaces",
            decoder=msgspec.json.Decoder(PageOf[Partial]),
            limit=MAX_PAGE,
            accept=objects.LIST,
        )

    async def identity(self) -> str:
        doing = f"get namespace {FIRST}"
        body = await self._wire.get(f"{PATH}/{FIRST}", accept=objects.ONE, doing=doing)
        found = await self._wire.decoded(body, doing, lambda body: objects.read_uid(body, FIRST))
        if not found:
            raise ClusterUnreachable(
                f"the Kubernetes API at {self.host} says no uid of the namespace {FIRST}; is it "
                "one?"
            )
        return found

    async def pods(self) -> AsyncGenerator[Sequence[RunningPod], None]:
        async with aclosing(self._pods.pages()) as pages:
            async for page in pages:
                yield running(page)

    async def nodes(self) -> AsyncGenerator[Sequence[Node], None]:
        async with aclosing(self._nodes.pages()) as pages:
            async for page in pages:
                yield seen(page)

    async def namespace_labels(self) -> Mapping[str, Mapping[str, str]]:
        kept = Kept()
        async with aclosing(self._namespaces.pages()) as pages:
            async for page in pages:
                for each in page:
                    kept.put(each.metadata.name, each.labels)
        return kept.all

    def check(self) -> None:
        self._wire.access.check()
