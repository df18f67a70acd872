"""What is known of namespaces: their labels, and about which imagegate is never asked."""

from collections.abc import Mapping, Sequence

import msgspec

from shared.domain.errors import ClusterUnreachable
from shared.domain.glob import Glob
from shared.domain.label_selector import LabelSelector
from shared.ports.cluster import Cluster
from shared.ports.workloads import Workloads

NAME = "kubernetes.io/metadata.name"
"""The label that each namespace has, and nobody can change."""
ALWAYS_EXEMPT = "kube-system"
"""In each configuration of ours; where there is one, what it says counts."""


class Namespaces(msgspec.Struct, frozen=True):
    """Of one cluster, or of none."""

    labels: Mapping[str, Mapping[str, str]] | None = None
    """None: no cluster was asked."""
    given: Mapping[str, str] | None = None
    """The labels of those that are not known."""
    judged: Sequence[LabelSelector] = ()
    """Whom imagegate's webhooks in the cluster are called for; none: they are not there."""
    exempt: Sequence[Glob] = ()
    """Those that somebody named."""

    def labels_of(self, namespace: str) -> Mapping[str, str] | None:
        """None: not known."""
        known = (self.labels or {}).get(namespace)
        return self.given if known is None else known

    def is_exempt(self, namespace: str) -> bool:
        """Whether imagegate is never asked about its pods."""
        if any(glob.matches(namespace) for glob in self.exempt):
            return True
        if not self.judged:
            return namespace == ALWAYS_EXEMPT
        known = self.labels_of(namespace)
        if known is None:
            # Of one that is not there yet its name alone is certain.
            return not any(each.about(NAME).selects({NAME: namespace}) for each in self.judged)
        labels = {NAME: namespace, **known}
        return not any(selector.selects(labels) for selector in self.judged)


async def namespaces_of(
    cluster: Cluster,
    workloads: Workloads,
    *,
    given: Mapping[str, str] | None,
    exempt: Sequence[Glob],
) -> tuple[Namespaces, tuple[str, ...]]:
    """Of this cluster, and what a person should know about it. Raises ClusterUnreachable where its
    namespaces cannot be listed."""
    labels = await cluster.namespace_labels()
    notes: tuple[str, ...] = ()
    judged: Sequence[LabelSelector] = ()
    try:
        judged = await workloads.judged()
    except ClusterUnreachable as error:
        notes = (
            "which namespaces are exempt is not known: "
            f"{ALWAYS_EXEMPT} is taken to be, name others with --exempt ({error})",
        )
    return Namespaces(labels, given, judged, exempt), notes
