"""What a console counts, and what it saw: the only process of ours that looks at the queue.

What could not be asked at the last look is absent, never an old number; so is everything when
the last look itself is old.
"""

from collections import Counter
from collections.abc import Callable

from services.console.samples import Sample
from services.console.view import LaneReport
from shared.ports.clock import Clock
from shared.runtime.metrics import Metrics

OLD = 30_000
"""Milliseconds after which what was seen is no longer told."""

PARTS = ("queue", "store")


class ConsoleMetrics:
    """Lanes, delays, dead letters and processes as of the last look; who asks and who watches."""

    def __init__(self, metrics: Metrics, *, clock: Clock) -> None:
        self._clock = clock
        self._last: Sample | None = None
        self._answered: dict[str, float] = {}
        self._requests = metrics.counter(
            "imagegate_console_requests_total", "Questions answered.", ("route", "status")
        )
        self._refused = metrics.counter(
            "imagegate_console_wrong_tokens_total", "Wrong tokens that were sent."
        )
        self._watchers = metrics.gauge(
            "imagegate_console_watchers", "Who watches the console's stream."
        )
        lanes: dict[str, tuple[str, Callable[[LaneReport], float | None]]] = {
            "imagegate_lane_ready_steps": ("Steps that wait for a worker.", lambda one: one.ready),
            "imagegate_lane_unacknowledged": (
                "Steps in the hands of workers.",
                lambda one: one.unacknowledged,
            ),
            "imagegate_lane_consumers": (
                "Workers that take steps of it.",
                lambda one: one.consumers,
            ),
            "imagegate_lane_oldest_seconds": (
                "For how long the oldest step or scan of it has been wanted.",
                lambda one: one.oldest,
            ),
        }
        for name, (text, told) in lanes.items():
            metrics.gauges(name, text, ("lane",), self._of_lanes(told))
        metrics.gauges(
            "imagegate_delayed_steps", "Steps that wait for a delay.", ("delay",), self._delayed
        )
        metrics.gauges("imagegate_dead_letters", "Dead letters.", (), self._dead)
        metrics.gauges(
            "imagegate_processes",
            "Processes that said lately that they live.",
            ("service",),
            self._processes,
        )
        metrics.gauges(
            "imagegate_looked_timestamp_seconds",
            "When this part last told the console what it was asked.",
            ("part",),
            lambda: {(part,): when for part, when in self._answered.items()},
        )

    def looked(self, sample: Sample, trouble: dict[str, str]) -> None:
        """A look is over; `trouble` names the parts that did not answer."""
        self._last = sample
        for part in PARTS:
            if part not in trouble:
                self._answered[part] = sample.at / 1000

    def answered(self, route: str, status: int) -> None:
        """A question was answered."""
        self._requests.add(route, str(status))

    def refused(self) -> None:
        """A wrong token was sent."""
        self._refused.add()

    def watching(self, watchers: int) -> None:
        """So many watch now."""
        self._watchers.set(watchers)

    def _fresh(self) -> Sample | None:
        last = self._last
        return last if last is not None and self._clock.now() - last.at <= OLD else None

    def _of_lanes(
        self, told: Callable[[LaneReport], float | None]
    ) -> Callable[[], dict[tuple[str, ...], float]]:
        def values() -> dict[tuple[str, ...], float]:
            seen = self._fresh()
            lanes = seen.queue.lanes if seen and seen.queue else ()
            pairs = ((str(lane.lane), told(lane)) for lane in lanes)
            return {(lane,): value for lane, value in pairs if value is not None}

        return values

    def _delayed(self) -> dict[tuple[str, ...], float]:
        seen = self._fresh()
        delayed = seen.queue.delayed if seen and seen.queue else {}
        return {(str(delay),): count for delay, count in delayed.items()}

    def _dead(self) -> dict[tuple[str, ...], float]:
        seen = self._fresh()
        return {(): seen.queue.dead} if seen and seen.queue else {}

    def _processes(self) -> dict[tuple[str, ...], float]:
        seen = self._fresh()
        alive = Counter(one.beat.service for one in (seen.processes if seen else None) or ())
        return {(service,): alive[service] for service in alive}
