"""A dead letter as a line for people."""

from services.console.view import DeadRow
from shared.ports.steps import DeadLetter


def dead_row(letter: DeadLetter, *, now: int, whole: bool = False) -> DeadRow:
    """What stands in the letter; its body only as a `whole`, bytes that are no text escaped."""
    body = letter.body.decode(errors="backslashreplace") if whole else ""
    age = None if letter.died_at is None else _seconds(now - letter.died_at)
    step = letter.step
    if step is None:
        return DeadRow(letter.id, letter.lane, letter.reason, age, body=body)
    return DeadRow(
        letter.id,
        letter.lane,
        letter.reason,
        age,
        kind=str(step.kind),
        image=step.reference,
        why=str(step.why),
        attempt=step.attempt,
        history=step.history,
        waited=_seconds(now - step.first_seen),
        body=body,
    )


def _seconds(milliseconds: int) -> float:
    return max(0, milliseconds) / 1000
