"""The queue's report, put together from what broker, store and processes tell."""

from collections.abc import Callable, Sequence

from services.console.view import LaneReport, QueueReport
from shared.domain.step import Lane
from shared.ports.presence import Alive, Beat
from shared.ports.steps import Depths

TAKES_STEPS = "worker"
"""The service whose beats say what is in hand."""


def queue_report(
    depths: Depths,
    *,
    first_seen: Sequence[dict[Lane, int]] | None,
    alive: Sequence[Alive] | None,
    now: int,
) -> QueueReport:
    """`first_seen` (ms, by lane) and `alive` are the store's; None: it does not answer."""

    def oldest(lane: Lane) -> float | None:
        seen = [when[lane] for when in first_seen or () if lane in when]
        return max(0, now - min(seen)) / 1000 if seen else None

    workers = [one.beat for one in alive or () if one.beat.service == TAKES_STEPS]

    def told_by_workers(count: Callable[[Beat], dict[Lane, int]], lane: Lane) -> int | None:
        return sum(count(beat).get(lane, 0) for beat in workers) if workers else None

    def in_hand(told: int | None, lane: Lane) -> int | None:
        # RabbitMQ does not tell it over AMQP; the workers know.
        return told_by_workers(lambda beat: beat.in_hand, lane) if told is None else told

    return QueueReport(
        lanes=tuple(
            LaneReport(
                lane=depth.lane,
                ready=depth.ready,
                unacknowledged=in_hand(depth.unacknowledged, depth.lane),
                consumers=depth.consumers,
                oldest=oldest(depth.lane),
                delivered=told_by_workers(lambda beat: beat.delivered, depth.lane),
            )
            for depth in depths.lanes
        ),
        delayed=depths.delayed,
        dead=depths.dead,
        ages_known=first_seen is not None,
    )
