"""What a webhook counts, as a scrape sees it."""

from services.webhook.metrics import WebhookMetrics
from shared.domain.pointer import DAY
from shared.runtime.metrics import Metrics
from tests.fakes.clock import FakeClock


def test_what_remains_of_the_certificate_shrinks_while_the_process_runs() -> None:
    metrics, clock = Metrics(), FakeClock()
    WebhookMetrics(metrics).certificate_ends(clock.now() + 2 * DAY, clock)
    assert "\nimagegate_certificate_remaining_seconds 172800.0\n" in metrics.render().decode()
    clock.advance(DAY)
    assert "\nimagegate_certificate_remaining_seconds 86400.0\n" in metrics.render().decode()
