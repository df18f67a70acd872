"""What one process handed to the queue and got from it, counted: cheap, and only for show."""

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

    def published(self, step: Step, *, delay: int) -> None:
        """Count a step that the queue took."""
        seen = self._of(step)
        self._put(seen, published=seen.published + 1, delayed=seen.delayed + (delay > 0))

    def delivered(self, step: Step) -> None:
        """Count a step that a handler got."""
        seen = self._of(step)
        self._put(seen, delivered=seen.delivered + 1)

    def steps(self) -> tuple[CarriedSteps, ...]:
        """All counters so far, by lane and kind in the order of their enumerations."""
        order = [(lane, kind) for lane in Lane for kind in StepKind]
        return tuple(self._steps[key] for key in order if key in self._steps)

    def _of(self, step: Step) -> CarriedSteps:
        key = (step.lane, step.kind)
        return self._steps.get(key) or CarriedSteps(lane=step.lane, kind=step.kind)

    def _put(self, seen: CarriedSteps, **counts: int) -> None:
        self._steps[seen.lane, seen.kind] = msgspec.structs.replace(seen, **counts)
