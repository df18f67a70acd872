"""What was seen at one look, and the last quarter of an hour of it for charts."""

from collections import deque

import msgspec

from services.console.view import LaneReport, QueueReport
from shared.domain.step import Lane
from shared.ports.presence import Alive

KEPT = 15 * 60 * 1000
"""Milliseconds that the history goes back."""

APART = 900
"""Milliseconds between two samples of the history at least: about one a second."""

Number = float | None


class Sample(msgspec.Struct, frozen=True):
    """One look."""

    at: int
    """When (ms)."""
    queue: QueueReport | None
    """None: the broker did not answer."""
    rates: dict[Lane, float | None] | None
    """Steps handed to workers a second; None: the store did not answer."""
    processes: tuple[Alive, ...] | None
    """None: the store did not answer."""


class LaneColumns(msgspec.Struct, frozen=True):
    """The numbers of one lane, one for each sample; None where nobody told it."""

    ready: list[Number]
    in_hand: list[Number]
    oldest: list[Number]
    """Seconds."""
    rate: list[Number]


class History(msgspec.Struct, frozen=True):
    """Samples in columns, the oldest first."""

    every: float
    """Seconds between two looks while somebody watches."""
    at: list[int]
    lanes: dict[Lane, LaneColumns]
    delayed: list[Number]
    dead: list[Number]


class Samples:
    """The last samples, bounded in time and number."""

    def __init__(self, *, every: float) -> None:
        self._every = every
        self._kept: deque[Sample] = deque(maxlen=KEPT // APART)

    def add(self, sample: Sample) -> None:
        """Keep it, unless the one before is of this very second."""
        # A clock that was put back: what it had said for later is no longer true.
        while self._kept and self._kept[-1].at >= sample.at:
            self._kept.pop()
        if self._kept and sample.at - self._kept[-1].at < APART:
            return
        self._kept.append(sample)
        while self._kept[0].at < sample.at - KEPT:
            self._kept.popleft()

    def history(self) -> History:
        """All of them, in columns."""
        reports = [sample.queue for sample in self._kept]
        return History(
            every=self._every,
            at=[sample.at for sample in self._kept],
            lanes={lane: self._columns(lane) for lane in Lane},
            delayed=[None if one is None else sum(one.delayed.values()) for one in reports],
            dead=[None if one is None else one.dead for one in reports],
        )

    def _columns(self, lane: Lane) -> LaneColumns:
        lanes = [_lane(sample, lane) for sample in self._kept]
        return LaneColumns(
            ready=[None if one is None else one.ready for one in lanes],
            in_hand=[None if one is None else one.unacknowledged for one in lanes],
            oldest=[None if one is None else _tenths(one.oldest) for one in lanes],
            rate=[sample.rates.get(lane) if sample.rates else None for sample in self._kept],
        )


def _lane(sample: Sample, lane: Lane) -> LaneReport | None:
    lanes = sample.queue.lanes if sample.queue else ()
    return next((one for one in lanes if one.lane is lane), None)


def _tenths(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
