"""What makes pods in a cluster, whether any of them runs or not."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

import msgspec

from shared.domain.label_selector import LabelSelector


class Template(msgspec.Struct, frozen=True):
    """The pods that one workload makes, or will."""

    kind: str
    namespace: str
    name: str
    images: tuple[str, ...]
    """As its template names them, of every image place, each once."""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    """Of its pods."""


class Workloads(Protocol):
    """Guarantees: as of `Cluster`, a kind at a time. What belongs to another workload, and a Job
    that is over, is not told: no pod comes of it that its owner does not tell.

    Errors: ClusterUnreachable, and ClusterMisconfigured where a person must correct something.
    """

    kinds: Sequence[str]
    """Resources: `deployments`, `cronjobs`."""

    def templates(self, kind: str) -> AsyncGenerator[Sequence[Template], None]:
        """Those of one kind, of all namespaces."""

    async def judged(self) -> Sequence[LabelSelector]:
        """Of imagegate's own webhooks that see new pods: whose namespaces they are called for. A
        namespace that none selects is exempt; none at all: imagegate is not installed."""
