"""Which of the processes that Redis heard are this cluster's, where several share it.

Webhooks answer one cluster's API server each; workers and all others serve every cluster of the
Redis, so that they are this one's too.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from services.cli.doctor.pods import PodForm
from services.cli.doctor.remarks import Remark, note, unasked
from shared.domain.cluster_name import shown_cluster
from shared.ports.presence import Alive

PART = "processes"

CLUSTER = "IMAGEGATE_CLUSTER"


def told_clusters(webhooks: Collection[PodForm]) -> frozenset[str] | None:
    """What these pods are told that their cluster is called: of several names while it is given
    another one, empty where it has none. None: of one of them it is not known."""
    told = [each.told(CLUSTER) for each in webhooks if each.stays]
    names = frozenset([name for name in told if name is not None])
    return names if told and None not in told else None


def own_processes(alive: Sequence[Alive], clusters: frozenset[str] | None) -> list[Alive]:
    """Without the webhooks of other clusters; all, where it is not known which this one is."""
    return [each for each in alive if not _of_another(each, clusters)]


def others_remarks(alive: Sequence[Alive], clusters: frozenset[str] | None) -> Iterator[Remark]:
    """That webhooks of other clusters are left out; or cannot be told from ours."""
    heard = Counter(each.beat.cluster for each in alive if each.beat.service == "webhook")
    if clusters is None:
        if len(heard) > 1:
            yield unasked(
                PART,
                f"webhooks of several clusters were heard ({_names(heard)}), and which of these is "
                "this one is not known: all are counted, so that one which misses its own is not "
                "seen",
                f"set {CLUSTER} here as this cluster's webhooks have it, or have the cluster asked "
                "(--kubeconfig)",
            )
        return
    others = sorted(set(heard) - clusters)
    if others:
        count = sum(heard[name] for name in others)
        yield note(
            PART,
            f"{count} webhooks of other clusters were heard, too ({_names(others)}), and are not "
            f"counted: this one is {_names(clusters)}",
        )


def _of_another(each: Alive, clusters: frozenset[str] | None) -> bool:
    if clusters is None or each.beat.service != "webhook":
        return False
    return each.beat.cluster not in clusters


def _names(clusters: Collection[str]) -> str:
    return ", ".join(map(shown_cluster, sorted(clusters)))
