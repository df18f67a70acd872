"""What a process says of its rules file."""

from shared.adapters.rules_file.watching import Reloaded
from shared.runtime.metrics import Metrics
from shared.runtime.rules_metrics import RulesMetrics
from tests.fakes.clock import FakeClock


def told(metrics: Metrics) -> dict[str, float]:
    """Each series with its value."""
    lines = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_process_that_started_has_rules_and_has_counted_nothing() -> None:
    metrics, clock = Metrics(), FakeClock()
    RulesMetrics(metrics, clock=clock)
    assert told(metrics) == {
        'imagegate_rules_reloads_total{result="ok"}': 0,
        'imagegate_rules_reloads_total{result="bad"}': 0,
        "imagegate_rules_loaded_timestamp_seconds": clock.now() / 1000,
        "imagegate_rules_file_ok": 1,
    }


def test_a_bad_file_is_told_until_it_is_mended() -> None:
    metrics, clock = Metrics(), FakeClock()
    rules = RulesMetrics(metrics, clock=clock)
    began = clock.now() / 1000
    clock.advance(60_000)
    rules.reloaded(Reloaded.BAD)
    assert told(metrics)["imagegate_rules_file_ok"] == 0
    assert told(metrics)["imagegate_rules_loaded_timestamp_seconds"] == began
    clock.advance(60_000)
    rules.reloaded(Reloaded.OK)
    assert told(metrics) == {
        'imagegate_rules_reloads_total{result="ok"}': 1,
        'imagegate_rules_reloads_total{result="bad"}': 1,
        "imagegate_rules_loaded_timestamp_seconds": began + 120,
        "imagegate_rules_file_ok": 1,
    }
