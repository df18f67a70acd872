"""What every queue does with a dead letter: show it, and have its step tried again."""

import uuid

from shared.domain.errors import InvalidStep
from shared.domain.step import Step, anew, decode_step
from shared.ports.steps import MAX_LETTER, DeadLetter

MAX_WORD = 200
"""Characters of a lane or reason that a broker, or a stranger's message, tells."""


def dead_letter(
    letter_id: str, *, lane: str, reason: str, died_at: int | None, body: bytes
) -> DeadLetter:
    """The letter as people see it, bounded."""
    return DeadLetter(
        id=letter_id,
        lane=lane[:MAX_WORD],
        reason=reason[:MAX_WORD],
        died_at=died_at,
        body=body[:MAX_LETTER],
        step=_step(body),
    )


def first_attempt(body: bytes, *, now: int) -> Step:
    """The letter's step, to be published anew; raises InvalidStep."""
    return anew(_read(body), step_id=uuid.uuid4().hex, now=now)


def _step(body: bytes) -> Step | None:
    try:
        return _read(body)
    except InvalidStep:
        return None


def _read(body: bytes) -> Step:
    if len(body) > MAX_LETTER:
        raise InvalidStep(f"the message has {len(body)} bytes, a step at most {MAX_LETTER}")
    return decode_step(body)
