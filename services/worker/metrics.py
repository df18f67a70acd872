"""What a worker counts."""

from collections.abc import Callable, Mapping, Sequence

from services.worker.budget import Poll
from services.worker.care_metrics import CareMetrics
from services.worker.inventory_metrics import InventoryMetrics
from shared.domain.errors import ErrorKind
from shared.domain.step import Lane, Step
from shared.domain.verdict import Verdict
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import Metrics

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds of what is over at once, or behind thousands of others."""
LOOKS = (1, 2, 3, 5, 8, 13, 20, 30, 50, 100, 200)
LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class WorkerMetrics:
    """Steps by outcome, verdicts and what they waited for, polls, calls to Anchore and its breaker,
    queue events."""

    def __init__(self, metrics: Metrics) -> None:
        self._registry = metrics
        self.care = CareMetrics(metrics)
        """Of what one worker does for all."""
        self.inventory = InventoryMetrics(metrics, clock=SystemClock())
        """Of what one worker does for all of its cluster."""
        self._steps = metrics.counter(
            "imagegate_steps_total", "Deliveries ended.", ("kind", "lane", "outcome")
        )
        self._in_lane = metrics.histogram(
            "imagegate_lane_wait_seconds",
            "How long steps stood in their lane until a worker took them; delays do not count.",
            ("lane",),
            buckets=QUICK,
        )
        self._reconciled = metrics.counter(
            "imagegate_reconciled_steps_total",
            "Steps published again because nobody had begun them.",
            ("kind", "lane"),
        )
        self._put_off = metrics.counter(
            "imagegate_prewarm_put_off_total",
            "Requests that come again later, as prewarm has no place for one more analysis; by who "
            "wanted them.",
            ("why",),
        )
        self._verdicts = metrics.counter(
            "imagegate_verdicts_total", "Verdicts written.", ("outcome", "error")
        )
        self._seconds = metrics.histogram(
            "imagegate_verdict_seconds",
            "From first wanted to its verdict, or the error that ended it; by who wanted it.",
            ("why",),
            buckets=LONG,
        )
        self._to_submit = metrics.histogram(
            "imagegate_submit_seconds",
            "From first wanted until Anchore was told to analyse it; by who wanted it.",
            ("why",),
            buckets=LONG,
        )
        self._analysis = metrics.histogram(
            "imagegate_analysis_seconds",
            "How long Anchore took for analyses, its own queue included; by who wanted them.",
            ("why",),
            buckets=LONG,
        )
        self._looks = metrics.histogram(
            "imagegate_verdict_polls",
            "How often Anchore was asked how far the analysis was, until its verdict.",
            ("why",),
            buckets=LOOKS,
        )
        self._polls = metrics.counter(
            "imagegate_polls_total", "Looks at analyses under way, and those put off.", ("poll",)
        )
        self._poll_wait = metrics.histogram(
            "imagegate_poll_wait_seconds",
            "How long checks waited for their turn to ask Anchore; those put off included.",
            ("lane",),
            buckets=QUICK,
        )
        self._calls = metrics.counter(
            "imagegate_anchore_calls_total", "Calls to Anchore.", ("operation", "outcome")
        )
        self._faults = metrics.counter(
            "imagegate_anchore_faults_total",
            "Answers of Anchore's that are no good ones, by what they stand for.",
            ("operation", "fault"),
        )
        self._call_seconds = metrics.histogram(
            "imagegate_anchore_call_seconds", "How long Anchore took to answer.", ("operation",)
        )
        self._events = metrics.counter(
            "imagegate_queue_events_total", "What befell deliveries.", ("event", "lane")
        )
        self._signatures = metrics.counter(
            "imagegate_bad_signatures_total", "Stored records that nobody we trust signed."
        )

    def taken(self, step: Step, now: int) -> None:
        """A worker took a step at `now` (ms). An earlier version's does not tell since when it
        stood there."""
        if step.queued:
            self._in_lane.observe(max(0, now - step.queued) / 1000, str(step.lane))

    def submitted(self, step: Step, seconds: float) -> None:
        """Anchore was told to analyse an image, so long after it was first wanted."""
        self._to_submit.observe(seconds, str(step.why))

    def analysed(self, step: Step, seconds: float) -> None:
        """An analysis was over, so long after its scan first looked at it."""
        self._analysis.observe(seconds, str(step.why))

    def put_off(self, step: Step) -> None:
        """A request waits for one of prewarm's places at Anchore."""
        self._put_off.add(str(step.why))

    def step(self, step: Step, outcome: str) -> None:
        """A delivery ended."""
        self._steps.add(str(step.kind), str(step.lane), outcome)

    def reconciled(self, step: Step) -> None:
        """A step was published again."""
        self._reconciled.add(str(step.kind), str(step.lane))

    def verdict(self, verdict: Verdict, seconds: float) -> None:
        """A verdict was written."""
        self._verdicts.add(str(verdict.outcome), str(verdict.error or ""))
        if verdict.error is not ErrorKind.TRANSIENT:  # that one is still on its way
            self._seconds.observe(seconds, str(verdict.why))

    def judged(self, step: Step) -> None:
        """A step brought a verdict."""
        if step.polls:  # judged again from an analysis that nobody asked about
            self._looks.observe(step.polls, str(step.why))

    def poll(self, poll: Poll) -> None:
        """An analysis under way was looked at, or not."""
        self._polls.add(str(poll))

    def waited_for_poll(self, lane: Lane, seconds: float) -> None:
        """A check had its turn, or was put off, after so long."""
        self._poll_wait.observe(seconds, str(lane))

    def call(self, operation: str, outcome: str, seconds: float) -> None:
        """Anchore was called."""
        self._calls.add(operation, outcome)
        if outcome not in ("refused", "busy", "throttled"):  # by ourselves: nothing was asked
            self._call_seconds.observe(seconds, operation)

    def fault(self, operation: str, fault: str) -> None:
        """Anchore's answer was no good one, or none came."""
        self._faults.add(operation, fault)

    def breaker(self, states: Sequence[str], now: Callable[[], str]) -> None:
        """Show in which of `states` Anchore's breaker is; `now` is asked at each scrape."""
        self._registry.gauges(
            "imagegate_anchore_breaker_state",
            "Whether Anchore is asked: 1 for the state of its circuit breaker, 0 for the others.",
            ("state",),
            lambda: {(state,): float(state == now()) for state in states},
        )

    def registries(self, down: Callable[[], Mapping[bool, int]]) -> None:
        """Show how many registries are taken for down, those that the rules name (True) apart from
        others; `down` is asked at each scrape."""
        self._registry.gauges(
            "imagegate_registries_down",
            "Registries that nobody asks now, since they did not answer.",
            ("registry",),
            lambda: {
                ("named" if named else "other",): float(count) for named, count in down().items()
            },
        )

    def unbelieved(self) -> None:
        """A stored record was found that nobody we trust signed."""
        self._signatures.add()

    def event(self, event: str, lane: Lane) -> None:
        """Something befell a delivery."""
        self._events.add(event, str(lane))
