"""What a webhook counts of owners of pods."""

from services.webhook.blocked import BlockedOwners
from services.webhook.nudges import Outcome
from services.webhook.owner_events import Told
from shared.ports.nudging import Reason
from shared.runtime.metrics import Metrics


class OwnerMetrics:
    """Of a webhook that may ask a Kubernetes API; absent where it may not."""

    def __init__(self, metrics: Metrics, blocked: BlockedOwners) -> None:
        metrics.gauge(
            "imagegate_blocked_owners", "Owners of denied pods that are remembered here."
        ).read_from(lambda: len(blocked))
        self._nudges = metrics.counter(
            "imagegate_nudges_total",
            "Owners that were to try again at once, by what became of it.",
            ("outcome",),
        )
        self._events = metrics.counter(
            "imagegate_owner_events_total",
            "Kubernetes Events that were to be told, by what became of each.",
            ("reason", "outcome"),
        )

    def nudged(self, outcome: Outcome) -> None:
        """An owner was to be nudged."""
        self._nudges.add(outcome.value)

    def told(self, reason: Reason, outcome: Told) -> None:
        """An Event was to be told."""
        self._events.add(reason.value, outcome.value)
