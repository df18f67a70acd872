"""How well a webhook knows namespaces, as metrics."""

from collections.abc import Callable, Mapping

from shared.ports.namespaces import Followed, ReadOutcome, WatchEnd
from shared.runtime.metrics import Metrics


class NamespaceMetrics:
    """Of a webhook that may ask a Kubernetes API; absent or 0 while no rule needs it."""

    def __init__(self, metrics: Metrics) -> None:
        self._followed: Callable[[], Followed | None] = lambda: None
        metrics.gauges(
            "imagegate_namespace_labels_known",
            "Namespaces whose labels are believed without a question.",
            (),
            lambda: _told(self._followed(), lambda followed: followed.known),
        )
        metrics.gauges(
            "imagegate_namespace_labels_age_seconds",
            "Since the Kubernetes API last said that no other namespace had changed; since it is "
            "asked, where it never did.",
            (),
            lambda: _told(self._followed(), lambda followed: followed.age),
        )
        self._watches = metrics.counter(
            "imagegate_namespace_watches_total",
            "Watches of namespaces that ended or could not begin, by how.",
            ("end",),
        )
        self._reads = metrics.counter(
            "imagegate_namespace_reads_total",
            "Namespaces that reviews had to ask for one by one, by what became of it.",
            ("outcome",),
        )

    def watch(self, followed: Callable[[], Followed | None]) -> None:
        """What it says is read at each scrape."""
        self._followed = followed

    def watched(self, end: WatchEnd) -> None:
        """A watch ended."""
        self._watches.add(end.value)

    def read(self, outcome: ReadOutcome) -> None:
        """A namespace was asked for, or not."""
        self._reads.add(outcome.value)


def _told(
    followed: Followed | None, value: Callable[[Followed], float]
) -> Mapping[tuple[str, ...], float]:
    return {} if followed is None else {(): value(followed)}
