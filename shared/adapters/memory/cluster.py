"""A cluster in process: what was put here."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from shared.domain.errors import ClusterUnreachable
from shared.domain.platform import platform_of
from shared.ports.cluster import Node, RunningPod

PAGE = 100
ENDED = ("Succeeded", "Failed")

Thing = TypeVar("Thing")


class MemoryCluster:
    """A `shared.ports.cluster.Cluster` whose API server is this object; `away`: it answers
    nothing."""

    def __init__(self, *, identity: str = "this-cluster") -> None:
        self.away = False
        self._identity = identity
        self._pods: dict[tuple[str, str], RunningPod] = {}
        self._nodes: dict[str, Node] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}

    def pod(
        self,
        name: str,
        *images: str,
        namespace: str = "team",
        phase: str = "Running",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Make a pod, or have it end by its phase."""
        self._pods.pop((namespace, name), None)
        if phase not in ENDED:
            self._pods[namespace, name] = RunningPod(
                namespace, name, tuple(dict.fromkeys(images)), labels or {}, annotations or {}
            )

    def node(self, name: str, platform: str = "linux/amd64") -> None:
        """Make a node, or have it be another."""
        system, _, machine = platform.partition("/")
        self._nodes[name] = Node(name, platform_of(system, machine))

    def remove_node(self, name: str) -> None:
        """It goes away."""
        del self._nodes[name]

    def namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a namespace, or give it other labels."""
        self._namespaces[name] = dict(labels)

    async def identity(self) -> str:
        self._answer()
        return self._identity

    async def pods(self) -> AsyncGenerator[Sequence[RunningPod], None]:
        self._answer()
        for page in _pages(list(self._pods.values())):
            yield page

    async def nodes(self) -> AsyncGenerator[Sequence[Node], None]:
        self._answer()
        for page in _pages(list(self._nodes.values())):
            yield page

    async def namespace_labels(self) -> Mapping[str, Mapping[str, str]]:
        self._answer()
        return dict(self._namespaces)

    def check(self) -> None:
        """Nothing is missing."""

    def _answer(self) -> None:
        if self.away:
            raise ClusterUnreachable("the Kubernetes API of this process is away")


def _pages(things: Sequence[Thing]) -> list[Sequence[Thing]]:
    rest = iter(things)
    pages: list[Sequence[Thing]] = []
    while page := list(islice(rest, PAGE)):
        pages.append(page)
    return pages
