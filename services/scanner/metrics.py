"""The scanner's metrics; what each is good for stands in docs/operations.md."""

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from services.scanner.records import AnalysisStatus
from shared.runtime.metrics import Metrics

LONG = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Analysed(StrEnum):
    """How an analysis ended."""

    DONE = "done"
    FAILED = "failed"
    OUTDATED = "outdated"
    """It was asked for anew, or the image removed, while it ran."""


class Renewed(StrEnum):
    """What came of looking at an image by other data."""

    SAME = "same"
    TURNED = "turned"
    FAILED = "failed"


class Removed(StrEnum):
    """Why an image was forgotten."""

    AGE = "age"
    SIZE = "size"


class Told(StrEnum):
    """What became of trying to send a notice."""

    TAKEN = "taken"
    LATER = "later"
    DROPPED = "dropped"


class Measured(msgspec.Struct, frozen=True):
    """What the database and the data said when they were last asked."""

    images: Mapping[str, int] = {}
    oldest_seconds: float | None = None
    """Since the image that waits longest was submitted; None: none waits."""
    database_bytes: int = 0
    notices: int = 0
    feed_seconds: float | None = None
    """Since the day up to which the data is; None: there is none."""
    feed_records: int = 0
    feed_usable: bool = False


class ScannerMetrics:
    """What happened, and how it stands."""

    def __init__(self, metrics: Metrics) -> None:
        self._measured: Measured | None = None
        self._analyses = metrics.counter(
            "imagegate_scanner_analyses_total", "Analyses that ended.", ("outcome",)
        )
        self._analysis = metrics.histogram(
            "imagegate_scanner_analysis_seconds",
            "How long analyses took, from being taken from the queue.",
            buckets=LONG,
        )
        self._evaluation = metrics.histogram(
            "imagegate_scanner_evaluation_seconds",
            "How long evaluations took, with what had to be matched for them.",
        )
        self._matching_failures = metrics.counter(
            "imagegate_scanner_matching_failures_total",
            "Times that the vulnerability data could not be asked about an image.",
        )
        self._renewed = metrics.counter(
            "imagegate_scanner_reevaluations_total",
            "Images looked at anew since the data was another.",
            ("outcome",),
        )
        self._judges = metrics.counter(
            "imagegate_scanner_judges_replaced_total", "Judges that hung or died."
        )
        self._removed = metrics.counter(
            "imagegate_scanner_removed_images_total", "Images that were forgotten.", ("reason",)
        )
        self._notices = metrics.counter(
            "imagegate_scanner_notices_total", "Notices tried to send.", ("kind", "outcome")
        )
        self._syncs = metrics.counter(
            "imagegate_scanner_feed_syncs_total",
            "Dumps of OSV looked at by the scanner's own sync.",
            ("ecosystem", "outcome"),
        )
        self._grype_updates = metrics.counter(
            "imagegate_scanner_grype_updates_total",
            "Runs of `grype db update`, by what became of them.",
            ("outcome",),
        )
        self._gauges(metrics)

    def measured(self, measured: Measured) -> None:
        """How it stands now."""
        self._measured = measured

    def analysis(self, outcome: Analysed, seconds: float) -> None:
        """An analysis ended."""
        self._analyses.add(str(outcome))
        self._analysis.observe(seconds)

    def evaluated(self, seconds: float) -> None:
        """An evaluation ended."""
        self._evaluation.observe(seconds)

    def matching_failed(self) -> None:
        """The data could not be asked."""
        self._matching_failures.add()

    def renewed(self, outcome: Renewed) -> None:
        """An image was looked at by other data."""
        self._renewed.add(str(outcome))

    def judge_replaced(self) -> None:
        """A judge hung or died."""
        self._judges.add()

    def removed(self, reason: Removed, count: int) -> None:
        """Images were forgotten."""
        self._removed.add(str(reason), by=count)

    def told(self, kind: str, outcome: Told, count: int = 1) -> None:
        """A notice was sent, or not."""
        self._notices.add(kind, str(outcome), by=count)

    def feed_synced(self, ecosystem: str, outcome: str) -> None:
        """A dump was looked at; `all`: none could be."""
        self._syncs.add(ecosystem, outcome)

    def grype_updated(self, outcome: str) -> None:
        """Grype looked for a newer database."""
        self._grype_updates.add(outcome)

    def _gauges(self, metrics: Metrics) -> None:
        metrics.gauges(
            "imagegate_scanner_images",
            "Images kept, by the state of their analysis.",
            ("status",),
            lambda: self._told(
                lambda now: {(one,): float(now.images.get(one, 0)) for one in AnalysisStatus}
            ),
        )
        singles: dict[str, tuple[str, Callable[[Measured], float | None]]] = {
            "imagegate_scanner_queue_oldest_seconds": (
                "Since the image that waits longest for its analysis was submitted.",
                lambda now: now.oldest_seconds or 0.0,
            ),
            "imagegate_scanner_database_bytes": (
                "The database's file.",
                lambda now: float(now.database_bytes),
            ),
            "imagegate_scanner_notices_waiting": (
                "Notices that nobody took yet.",
                lambda now: float(now.notices),
            ),
            "imagegate_scanner_feed_age_seconds": (
                "Since the day up to which the vulnerability data is; absent without data.",
                lambda now: now.feed_seconds,
            ),
            "imagegate_scanner_feed_records": (
                "Records of the vulnerability data.",
                lambda now: float(now.feed_records),
            ),
            "imagegate_scanner_feed_usable": (
                "1 where the vulnerability data can be asked and trusted.",
                lambda now: float(now.feed_usable),
            ),
        }
        for name, (text, value) in singles.items():
            metrics.gauges(name, text, (), self._single(value))

    def _single(
        self, value: Callable[[Measured], float | None]
    ) -> Callable[[], Mapping[tuple[str, ...], float]]:
        def told() -> Mapping[tuple[str, ...], float]:
            found = None if self._measured is None else value(self._measured)
            return {} if found is None else {(): found}

        return told

    def _told(
        self, values: Callable[[Measured], Mapping[tuple[str, ...], float]]
    ) -> Mapping[tuple[str, ...], float]:
        return {} if self._measured is None else values(self._measured)
