"""What a webhook counts."""

from collections.abc import Callable, Mapping

from services.webhook.believed import Source
from services.webhook.book import CurrentBook
from services.webhook.catalogue import Need
from services.webhook.decisions import LeftOut
from services.webhook.exceptions import Uncounted
from services.webhook.lookups import First, Layer
from services.webhook.mutate import Mutation
from services.webhook.near_cache import NearCache
from services.webhook.requests import Asked
from services.webhook.switch import Switch
from services.webhook.trouble import Trouble
from services.webhook.uses import UseOutcome
from shared.domain.decision import Decision, State
from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.runtime.handshakes import HandshakeFault
from shared.runtime.metrics import Metrics

LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Seconds of scans, as the worker's metrics have them."""


class WebhookMetrics:
    """What reviews were answered and from where, what was asked for, and what went wrong."""

    def __init__(self, metrics: Metrics) -> None:
        self.all = metrics
        """Those of the whole process."""
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
        ).of()
        self._refused = metrics.counter(
            "imagegate_reviews_refused_total",
            "Calls that were no review, or (403) a stranger's.",
            ("status",),
        )
        self._handshakes = metrics.counter(
            "imagegate_handshakes_failed_total",
            "Callers that did not get past the handshake of TLS.",
            ("reason",),
        )
        self._mutations = metrics.counter(
            "imagegate_mutations_total", "Calls to /mutate, by what became of tags.", ("result",)
        )
        self._mutation_seconds = metrics.histogram(
            "imagegate_mutation_seconds", "From a call's first byte read to its answer."
        )
        self._earlier = metrics.counter(
            "imagegate_earlier_pins_total",
            "Images pinned to the digest before their tag moved: the new one is not judged yet.",
        ).of()
        self._waiting = metrics.gauge(
            "imagegate_reviews_waiting", "Reviews that wait for an image to be judged."
        )
        self._judged = metrics.histogram(
            "imagegate_time_to_verdict_seconds",
            "From when a scan was asked for that people wait for to the word of its verdict.",
            buckets=LONG,
        )
        self._signatures = metrics.counter(
            "imagegate_bad_signatures_total", "Stored records that nobody we trust signed."
        )
        self._certificate = metrics.gauge(
            "imagegate_certificate_remaining_seconds", "Until the serving certificate ends."
        )
        self._left_out = metrics.counter(
            "imagegate_decisions_left_out_total",
            "Decisions that are not among the last ones kept for people.",
            ("reason",),
        )
        self._asks = metrics.counter(
            "imagegate_asks_total", "What became of asking for an image.", ("need", "outcome")
        )
        self._troubles = metrics.counter(
            "imagegate_store_failures_total", "Questions that Redis did not answer.", ("trouble",)
        )
        self._events = metrics.counter(
            "imagegate_queue_events_total", "What befell deliveries.", ("event", "lane")
        )
        self._heard = metrics.counter(
            "imagegate_announcements_total",
            "Words of the store that a record changed, or (gap) that some may have been missed.",
            ("kind",),
        )
        self._cache_entries = metrics.gauge(
            "imagegate_near_cache_entries", "Keys held here, those without a record too."
        )
        self._cache_bytes = metrics.gauge("imagegate_near_cache_bytes", "What these take, about.")
        self._exceptions_left_out = metrics.counter(
            "imagegate_exceptions_left_out_total",
            "Signed exceptions that do not count, each time that they are read.",
            ("source", "reason"),
        )
        self._exceptions: Callable[[], Mapping[tuple[str, ...], float]] = dict
        metrics.gauges(
            "imagegate_exceptions",
            "Exceptions that count now, by where they stand.",
            ("source",),
            self._count_exceptions,
        )
        self._emergency = metrics.gauge(
            "imagegate_emergency_remaining_seconds",
            "That an emergency still lets pass what rules refuse; 0: there is none.",
        )
        self._let_pass = metrics.counter(
            "imagegate_emergency_reviews_total", "Reviews allowed by an emergency alone."
        ).of()
        self._count_lookups(metrics)

    def _count_lookups(self, metrics: Metrics) -> None:
        lookups = metrics.counter(
            "imagegate_image_lookups_total",
            "Images looked up for reviews, by what had to be asked to answer.",
            ("layer",),
        )
        self._layers = {layer: lookups.of(layer.value) for layer in Layer}
        firsts = metrics.counter(
            "imagegate_first_lookups_total",
            "Images looked up here for the first time, by what was known of them.",
            ("result",),
        )
        self._firsts = {first: firsts.of(first.value) for first in First}
        self._first_counts = dict.fromkeys(First, 0)
        self._overruns = metrics.counter(
            "imagegate_policy_grace_overruns_total",
            "Images answered by a verdict whose policy was replaced longer ago than policy_grace.",
        ).of()
        self._uses = metrics.counter(
            "imagegate_uses_total",
            "Uses of judged images, as they were written down.",
            ("outcome",),
        )
        metrics.gauges(
            "imagegate_prewarm_hit_ratio",
            "Of the new images that nobody had asked for, those that a push event had had judged.",
            (),
            self._prewarm_hits,
        )

    def _prewarm_hits(self) -> dict[tuple[str, ...], float]:
        prewarmed = self._first_counts[First.PREWARMED]
        new = prewarmed + self._first_counts[First.ASKED]
        return {(): prewarmed / new} if new else {}

    def reviewed(self, decision: Decision, seconds: float) -> None:
        """A review was answered."""
        self._counts[decision.allowed, decision.state](1)
        if decision.allowed and decision.unpinned:
            self._unpinned(1)
        if decision.let_pass:
            self._let_pass(1)
        self._seconds(seconds)

    def mutated(self, mutation: Mutation, seconds: float) -> None:
        """A call to /mutate was answered."""
        self._mutations.add(mutation.pinned.value)
        if mutation.earlier:
            self._earlier(mutation.earlier)
        self._mutation_seconds.observe(seconds)

    def refused(self, status: int) -> None:
        """A call was answered with an HTTP error."""
        self._refused.add(str(status))

    def handshake_failed(self, why: HandshakeFault) -> None:
        """A caller did not get in."""
        self._handshakes.add(why.value)

    def waiting(self, reviews: int) -> None:
        """So many reviews wait now."""
        self._waiting.set(reviews)

    def judged(self, seconds: float) -> None:
        """A scan that people waited for took so long."""
        self._judged.observe(seconds)

    def bad_signature(self, key: str) -> None:
        """A record was not believed."""
        self._signatures.add()

    def certificate_ends(self, ends: int, clock: Clock) -> None:
        """When the serving certificate ends (ms); each scrape is told what remains."""
        self._certificate.read_from(lambda: (ends - clock.now()) / 1000)

    def looked_up(self, layer: Layer, images: int) -> None:
        """So many images were answered from there."""
        self._layers[layer](images)

    def first_seen(self, first: First) -> None:
        """An image was looked up for the first time."""
        self._first_counts[first] += 1
        self._firsts[first](1)

    def grace_overrun(self) -> None:
        """An image was answered by a verdict whose policy was replaced too long ago."""
        self._overruns(1)

    def used(self, outcome: UseOutcome, uses: int) -> None:
        """What became of so many uses."""
        self._uses.add(outcome.value, by=uses)

    def asked(self, need: Need, outcome: Asked) -> None:
        """An image was asked for."""
        self._asks.add(need.value, outcome.value)

    def store_failed(self, trouble: Trouble) -> None:
        """The store did not answer a question."""
        self._troubles.add(trouble.value)

    def queue_event(self, event: str, lane: Lane) -> None:
        """Something befell a delivery."""
        self._events.add(event, lane.value)

    def announced(self, key: str | None) -> None:
        """The store said that this record changed; None: that some word may have been missed."""
        self._heard.add("gap" if key is None else "change")

    def left_out(self, why: LeftOut, decisions: int) -> None:
        """So many decisions are not kept for people."""
        self._left_out.add(why.value, by=decisions)

    def watch_cache(self, cache: NearCache) -> None:
        """What it holds is read at each scrape."""
        self._cache_entries.read_from(lambda: cache.entries)
        self._cache_bytes.read_from(lambda: cache.size)

    def watch_switch(self, switch: Switch) -> None:
        """What is left of an emergency is read at each scrape."""
        self._emergency.read_from(lambda: switch.seconds)

    def exception_left_out(self, source: Source, why: Uncounted) -> None:
        """A signed exception that was read does not count, or could not be read."""
        self._exceptions_left_out.add(source.value, why.value)
        if why is Uncounted.SIGNATURE:
            self._signatures.add()

    def _count_exceptions(self) -> Mapping[tuple[str, ...], float]:
        return self._exceptions()

    def watch_exceptions(
        self, book: CurrentBook, signed: Callable[[], Mapping[Source, int]], clock: Clock
    ) -> None:
        """How many count is asked at each scrape."""

        def told() -> dict[tuple[str, ...], float]:
            now = clock.now()
            numbers: dict[str, float] = {source.value: count for source, count in signed().items()}
            numbers["rules"] = sum(each.counts(now) for each in book.rules.exceptions)
            return {(source,): number for source, number in numbers.items()}

        self._exceptions = told
