"""Whether the rules file is read again when it changes, as metrics of a process."""

from shared.ports.clock import Clock
from shared.runtime.metrics import Metrics

OK = "ok"
BAD = "bad"


class RulesMetrics:
    """Made when the rules were loaded; told of each change of their file."""

    def __init__(self, metrics: Metrics, *, clock: Clock) -> None:
        reloads = metrics.counter(
            "imagegate_rules_reloads_total",
            "Changes of the rules file, by what became of them.",
            ["result"],
        )
        # From the start, so that the first one is seen as an increase.
        self._counts = {result: reloads.of(result) for result in (OK, BAD)}
        self._loaded = metrics.gauge(
            "imagegate_rules_loaded_timestamp_seconds",
            "When the rules that hold were read, in seconds since the epoch.",
        )
        self._ok = metrics.gauge(
            "imagegate_rules_file_ok",
            "1: the rules file as it stands holds; 0: it cannot be used, those of before hold.",
        )
        self._clock = clock
        self._holds()

    def reloaded(self, result: str) -> None:
        """The file changed: `ok`, it holds now; `bad`, it cannot be used."""
        self._counts[result](1)
        if result == OK:
            self._holds()
        else:
            self._ok.set(0)

    def _holds(self) -> None:
        self._ok.set(1)
        self._loaded.set(self._clock.now() / 1000)
