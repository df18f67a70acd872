"""What an intake counts."""

from services.intake.pushes import Source, Tally
from shared.runtime.metrics import Metrics


class IntakeMetrics:
    """Push events by what became of them, the requests that brought them, and their time."""

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.counter(
            "imagegate_push_events_total",
            "Push events by what became of them; ignored_* are about nothing to prewarm.",
            ("source", "outcome"),
        )
        self._requests = metrics.counter(
            "imagegate_push_requests_total",
            "Requests that brought push events, by HTTP status.",
            ("source", "status"),
        )
        self._seconds = metrics.histogram(
            "imagegate_push_seconds", "From a request's head to its answer.", ("source",)
        )

    def tallied(self, source: Source, tally: Tally) -> None:
        """The events of one request were handled."""
        for taken, count in tally.taken.items():
            self._events.add(source, taken, by=count)
        for ignored, count in tally.ignored.items():
            self._events.add(source, f"ignored_{ignored}", by=count)

    def answered(self, source: Source, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.add(source, str(status))
        self._seconds.observe(seconds, source)
