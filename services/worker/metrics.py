"""What a worker counts."""

from shared.domain.step import Lane, Step
from shared.domain.verdict import Verdict
from shared.runtime.metrics import Metrics

LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class WorkerMetrics:
    """Steps by outcome, verdicts and the time they took, calls to Anchore, queue events."""

    def __init__(self, metrics: Metrics) -> None:
        self._steps = metrics.counter(
            "imagegate_steps_total", "Deliveries ended.", ("kind", "lane", "outcome")
        )
        self._verdicts = metrics.counter(
            "imagegate_verdicts_total", "Verdicts written.", ("outcome", "error")
        )
        self._seconds = metrics.histogram(
            "imagegate_verdict_seconds", "From first wanted to its verdict.", buckets=LONG
        )
        self._calls = metrics.counter(
            "imagegate_anchore_calls_total", "Calls to Anchore.", ("operation", "outcome")
        )
        self._call_seconds = metrics.histogram(
            "imagegate_anchore_call_seconds", "How long Anchore took to answer.", ("operation",)
        )
        self._events = metrics.counter(
            "imagegate_queue_events_total", "What befell deliveries.", ("event", "lane")
        )

    def step(self, step: Step, outcome: str) -> None:
        """A delivery ended."""
        self._steps.add(str(step.kind), str(step.lane), outcome)

    def verdict(self, verdict: Verdict, seconds: float) -> None:
        """A verdict was written."""
        self._verdicts.add(str(verdict.outcome), str(verdict.error or ""))
        self._seconds.observe(seconds)

    def call(self, operation: str, outcome: str, seconds: float) -> None:
        """Anchore was called."""
        self._calls.add(operation, outcome)
        self._call_seconds.observe(seconds, operation)

    def event(self, event: str, lane: Lane) -> None:
        """Something befell a delivery."""
        self._events.add(event, str(lane))
