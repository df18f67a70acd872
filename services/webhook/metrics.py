"""What a webhook counts."""

from shared.domain.decision import Decision, State
from shared.ports.clock import Clock
from shared.runtime.metrics import Metrics


class WebhookMetrics:
    """Reviews by decision and state, their time, who waits, and signatures that did not hold."""

    def __init__(self, metrics: Metrics) -> None:
        self._reviews = metrics.counter(
            "imagegate_reviews_total", "Reviews answered.", ("allowed", "state")
        )
        self._counts = {
            (allowed, state): self._reviews.of("true" if allowed else "false", state.value)
            for allowed in (True, False)
            for state in State
        }
        self._unpinned = metrics.counter(
            "imagegate_unpinned_pods_total", "Reviews allowed with an image named by its tag alone."
        ).of()
        self._seconds = metrics.histogram(
            "imagegate_review_seconds", "From a review's first byte read to its answer."
        )
        self._refused = metrics.counter(
            "imagegate_reviews_refused_total", "Bodies that were no review.", ("status",)
        )
        self._waiting = metrics.gauge(
            "imagegate_reviews_waiting_count", "Reviews that wait for an image to be judged."
        )
        self._signatures = metrics.counter(
            "imagegate_bad_signatures_total", "Stored records that nobody we trust signed."
        )
        self._certificate = metrics.gauge(
            "imagegate_certificate_remaining_seconds", "Until the serving certificate ends."
        )

    def reviewed(self, decision: Decision, seconds: float) -> None:
        """A review was answered."""
        self._counts[decision.allowed, decision.state](1)
        if decision.allowed and decision.unpinned:
            self._unpinned(1)
        self._seconds.observe(seconds)

    def refused(self, status: int) -> None:
        """A body was answered with an HTTP error."""
        self._refused.add(str(status))

    def waiting(self, reviews: int) -> None:
        """So many reviews wait now."""
        self._waiting.set(reviews)

    def bad_signature(self, key: str) -> None:
        """A record was not believed."""
        self._signatures.add()

    def certificate_ends(self, ends: int, clock: Clock) -> None:
        """When the serving certificate ends (ms); each scrape is told what remains."""
        self._certificate.read_from(lambda: (ends - clock.now()) / 1000)
