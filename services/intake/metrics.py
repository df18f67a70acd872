"""What an intake counts."""

from services.intake.notices import Heard, Kind
from services.intake.pushes import Source, Tally
from shared.runtime.metrics import Metrics


class IntakeMetrics:
    """Push events and notices by what became of them, the requests that brought them, and their
    time."""

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
        self._notices = metrics.counter(
            "imagegate_notices_total",
            "Notices of Anchore's by what became of them; ignored_* ask for nothing.",
            ("kind", "outcome"),
        )
        self._notice_requests = metrics.counter(
            "imagegate_notice_requests_total",
            "Requests that brought notices, by HTTP status.",
            ("status",),
        )
        self._notice_seconds = metrics.histogram(
            "imagegate_notice_seconds", "From a request's head to its answer."
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

    def heard(self, kind: Kind, heard: Heard) -> None:
        """A notice was handled."""
        self._notices.add(kind, heard)

    def notice_answered(self, status: int, seconds: float) -> None:
        """A request that brought a notice was answered."""
        self._notice_requests.add(str(status))
        self._notice_seconds.observe(seconds)
