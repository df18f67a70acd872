"""Metrics: one registry a process, and thin wrappers whose label values are bounded.

Names begin with `imagegate_` and end in their unit (`_total`, `_seconds`, `_bytes`), or, of
gauges, in what is counted, as Prometheus advises (its "Metric and label naming").
Whoever counts something makes its own metric from the registry it is given.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import cast

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

MAX_SERIES = 200
OTHER = "other"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Told = Callable[[], Mapping[tuple[str, ...], float]]
"""Values by the values of the labels, in the order of the labels."""

_NAME = re.compile(r"imagegate_[a-z][a-z0-9_]*")
_UNITS = ("_seconds", "_bytes", "_ratio", "_polls")
_OF_OTHERS = ("_total", "_count", "_sum", "_bucket", "_created")
"""How names of a counter's and a histogram's samples end: no gauge may look like one."""


class _Series:
    """The label values seen; what comes after `MAX_SERIES` of them counts as `other`."""

    def __init__(self, width: int) -> None:
        self._seen: set[tuple[str, ...]] = set()
        self._width = width

    def bounded(self, values: tuple[str, ...]) -> tuple[str, ...]:
        if values in self._seen:
            return values
        if len(values) != self._width:
            raise ValueError(f"{len(values)} label values for {self._width} labels")
        if len(self._seen) >= MAX_SERIES:
            return (OTHER,) * self._width
        self._seen.add(values)
        return values


class CounterMetric:
    """Goes up. A number without the library's lock, which a review would pay for several times:
    only the event loop counts."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._series = _Series(len(labels))
        self._counts: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count one, or `by`, for these label values, in the order of the labels."""
        self.of(*labels)(by)

    def of(self, *labels: str) -> Callable[[float], None]:
        """What counts for these label values: for a hot path, which keeps it."""
        counts, labels = self._counts, self._series.bounded(labels)
        counts.setdefault(labels, 0.0)

        def count(by: float) -> None:
            counts[labels] += by

        return count

    def describe(self) -> Iterator[Metric]:
        """For the registry: that it is there."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """For the registry: all its values now."""
        family = self._family()
        for labels, value in self._counts.items():
            family.add_metric(labels, value)
        yield family

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._name, self._text, labels=self._labels)


class HistogramMetric:
    """How long, or how much, by buckets. Plain numbers for the reason that a counter has them."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._bounds = tuple(buckets)
        self._series = _Series(len(labels))
        self._values: dict[tuple[str, ...], _Observed] = {}
        if not labels:
            self.of()

    def observe(self, value: float, *labels: str) -> None:
        """Note one value for these label values."""
        self.of(*labels)(value)

    def of(self, *labels: str) -> Callable[[float], None]:
        """What notes values for these label values: for a hot path, which keeps it."""
        labels = self._series.bounded(labels)
        if labels not in self._values:
            self._values[labels] = _Observed(self._bounds)
        return self._values[labels].note

    def describe(self) -> Iterator[Metric]:
        """For the registry: that it is there."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """For the registry: all its buckets now."""
        family = self._family()
        for labels, observed in self._values.items():
            family.add_metric(labels, observed.buckets(), observed.sum)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._text, labels=self._labels)


class _Observed:
    """The values of one series."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def note(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """How many values are at most each bound."""
        bounds = map(floatToGoString, (*self._bounds, math.inf))
        return list(zip(bounds, accumulate(self._counts), strict=True))


class GaugeMetric:
    """Goes up and down."""

    def __init__(self, gauge: Gauge, series: _Series) -> None:
        self._gauge, self._series = gauge, series

    def set(self, value: float, *labels: str) -> None:
        """The value now."""
        labels = self._series.bounded(labels)
        (self._gauge.labels(*labels) if labels else self._gauge).set(value)

    def read_from(self, value: Callable[[], float]) -> None:
        """Ask `value` at each scrape; only without labels."""
        self._gauge.set_function(value)


class _Gauges:
    """Asked for all their values at each scrape; what is not told then is absent."""

    def __init__(self, name: str, text: str, labels: Sequence[str], told: Told) -> None:
        self._name, self._text, self._labels, self._told = name, text, labels, told

    def describe(self) -> Iterator[Metric]:
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for labels, value in list(self._told().items())[:MAX_SERIES]:
            family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._text, labels=self._labels)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        # A second series for each counter that says when it began: nobody asks for it.
        cast(Callable[[], None], disable_created_metrics)()
        self._registry = CollectorRegistry()

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> CounterMetric:
        """A counter; its name ends in `_total`."""
        counter = CounterMetric(_checked(name, "_total"), text, labels)
        self._registry.register(counter)
        return counter

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = SECONDS,
    ) -> HistogramMetric:
        """A histogram; its name ends in the unit, its buckets are in that unit."""
        histogram = HistogramMetric(_checked(name, *_UNITS), text, labels, buckets)
        self._registry.register(histogram)
        return histogram

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> GaugeMetric:
        """A gauge; its name ends in the unit, or in what is counted."""
        gauge = Gauge(_checked_gauge(name), text, labels, registry=self._registry)
        return GaugeMetric(gauge, _Series(len(labels)))

    def gauges(self, name: str, text: str, labels: Sequence[str], told: Told) -> None:
        """Gauges that may be unknown: `told` is asked at each scrape, what it leaves out is
        absent then. Its name is that of a gauge."""
        self._registry.register(_Gauges(_checked_gauge(name), text, labels, told))

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)


def _checked(name: str, *units: str) -> str:
    if not _NAME.fullmatch(name) or not name.endswith(units):
        raise ValueError(f"{name}: a metric is imagegate_* and ends in {' or '.join(units)}")
    return name


def _checked_gauge(name: str) -> str:
    if not _NAME.fullmatch(name) or name.endswith(_OF_OTHERS):
        raise ValueError(f"{name}: a gauge is imagegate_* and ends in none of {_OF_OTHERS}")
    return name
