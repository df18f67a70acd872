"""What one process handed to the queue and got from it, counted: cheap, and only for show."""

from collections import Counter

import msgspec

from shared.domain.step import Lane, Step, StepKind


class CarriedSteps(msgspec.Struct, frozen=True):
    """The steps of one kind in one lane."""

    lane: Lane
    kind: StepKind
    published: int = 0
    """Handed to the queue, without those that it refused."""
    delayed: int = 0
    """How many of those were to wait first."""
    delivered: int = 0
    """Handed to a handler; a step that was delivered twice counts twice."""


class Carried:
    """The counters of one queue object."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Lane, StepKind], CarriedSteps] = {}
        self._in_hand: Counter[Lane] = Counter()

    def published(self, step: Step, *, delay: int) -> None:
        """Count a step that the queue took."""
        seen = self._of(step)
        self._put(seen, published=seen.published + 1, delayed=seen.delayed + (delay > 0))

    def delivered(self, step: Step) -> None:
        """Count a step that a handler got."""
        seen = self._of(step)
        self._put(seen, delivered=seen.delivered + 1)

    def taken(self, lane: Lane) -> None:
        """A delivery came in: the broker waits for its settlement."""
        self._in_hand[lane] += 1

    def settled(self, lane: Lane) -> None:
        """Its settlement was sent, or it went back to the broker."""
        self._in_hand[lane] -= 1

    def in_hand(self) -> dict[Lane, int]:
        """How many deliveries of each lane are not settled yet."""
        return {lane: self._in_hand[lane] for lane in Lane}

    def steps(self) -> tuple[CarriedSteps, ...]:
        """All counters so far, by lane and kind in the order of their enumerations."""
        order = [(lane, kind) for lane in Lane for kind in StepKind]
        return tuple(self._steps[key] for key in order if key in self._steps)

    def _of(self, step: Step) -> CarriedSteps:
        key = (step.lane, step.kind)
        return self._steps.get(key) or CarriedSteps(lane=step.lane, kind=step.kind)

    def _put(self, seen: CarriedSteps, **counts: int) -> None:
        self._steps[seen.lane, seen.kind] = msgspec.structs.replace(seen, **counts)
