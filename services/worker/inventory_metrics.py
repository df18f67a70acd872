"""What the inventory tells: what runs, on what, how old that is, and what could not be seen."""

from collections.abc import Mapping
from itertools import product

from services.worker.inventory import Looked, What
from services.worker.inventory_pods import Running
from shared.domain.platforms import Platforms
from shared.domain.pointer import SECOND
from shared.ports.clock import Clock
from shared.runtime.metrics import Metrics

Series = Mapping[tuple[str, ...], float]

UNKNOWN = "unknown"
MORE = "other"


class InventoryMetrics:
    """Gauges tell of the last look, where this worker is the one that looks; else they are
    absent."""

    def __init__(self, metrics: Metrics, *, clock: Clock) -> None:
        self._clock = clock
        self._looked_at: dict[What, int] = {}
        self._pods: Running | None = None
        self._nodes: Mapping[str, int] = {}
        self._record: Platforms | None = None
        self._looks = metrics.counter(
            "imagegate_inventory_looks_total",
            "Looks at the cluster, by what was looked at and what became of it.",
            ("what", "outcome"),
        )
        for what, outcome in product(What, Looked):
            # There from the start: Prometheus sees no growth in the first value of a series, and
            # which cluster it is succeeds but once.
            self._looks.of(what.value, outcome.value)
        metrics.gauges(
            "imagegate_inventory_age_seconds",
            "Since the cluster's nodes, pods or namespaces were last seen whole.",
            ("what",),
            self._ages,
        )
        metrics.gauges("imagegate_running_pods", "Pods that run.", (), self._running_pods)
        metrics.gauges(
            "imagegate_running_images",
            "Images of pods that run, each once; unreadable: image places that name none.",
            ("state",),
            self._running_images,
        )
        metrics.gauges(
            "imagegate_cluster_nodes", "Nodes by platform.", ("platform",), self._by_platform
        )
        metrics.gauges(
            "imagegate_cluster_platforms",
            "The cluster's platforms: what is in use has been judged for one, or not yet (new).",
            ("platform", "state"),
            self._platforms,
        )

    def looked(self, what: What, looked: Looked) -> None:
        """Something was looked at, or could not be."""
        self._looks.add(what.value, looked.value)
        if looked is Looked.DONE:
            self._looked_at[what] = self._clock.now()

    def pods(self, found: Running) -> None:
        """All pods were looked at."""
        self._pods = found

    def nodes(self, nodes: Mapping[str, int], record: Platforms) -> None:
        """All nodes were looked at, and this was written down."""
        self._nodes, self._record = nodes, record

    def ended(self) -> None:
        """Another worker looks from now on."""
        self._looked_at, self._pods, self._nodes, self._record = {}, None, {}, None

    def _ages(self) -> Series:
        now = self._clock.now()
        return {(what.value,): (now - at) / SECOND for what, at in self._looked_at.items()}

    def _running_pods(self) -> Series:
        return {(): self._pods.pods} if self._pods else {}

    def _running_images(self) -> Series:
        if self._pods is None:
            return {}
        return {("named",): self._pods.images, ("unreadable",): self._pods.unreadable}

    def _by_platform(self) -> Series:
        """Those that are followed by name: nodes may tell anything."""
        named = {each.platform for each in self._record.platforms} if self._record else set()
        told: dict[tuple[str, ...], float] = {}
        for platform, nodes in self._nodes.items():
            label = platform if platform in named else MORE if platform else UNKNOWN
            told[(label,)] = told.get((label,), 0) + nodes
        return told

    def _platforms(self) -> Series:
        record = self._record
        if record is None:
            return {}
        told: dict[tuple[str, ...], float] = {
            (each.platform, "judged" if each.judged_at else "new"): 1.0 for each in record.platforms
        }
        if record.too_many:
            told[MORE, "new"] = 1.0
        return told
