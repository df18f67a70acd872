"""What every queue does with dead letters: show them, have their steps tried again, tell of it."""

import uuid
from collections.abc import Collection, Iterable

from shared.domain.errors import InvalidStep, QueueError
from shared.domain.step import Step, anew, decode_step
from shared.ports.steps import MAX_LETTER, DeadLetter, Ended

MAX_WORD = 200
"""Characters of a lane or reason that a broker, or a stranger's message, tells."""


NOT_TRIED = "not tried after that"


class Endings:
    """What becomes of the letters of one call, as it goes on."""

    def __init__(self, letter_ids: Collection[str]) -> None:
        self.ids = tuple(dict.fromkeys(letter_ids))
        self.broken = False
        """Whether a server failed, so that no more is tried."""
        self._done: set[str] = set()
        self._failed: dict[str, str] = {}
        self._missing: set[str] = set()

    def done(self, letter_ids: Iterable[str]) -> None:
        """These are gone, as was wanted."""
        self._done.update(letter_ids)

    def missing(self, letter_ids: Iterable[str]) -> None:
        """These are not there (any more)."""
        self._missing.update(letter_ids)

    def failed(self, letter_id: str, error: InvalidStep | QueueError) -> None:
        """This one failed; all but a message that is no step breaks it off."""
        if isinstance(error, InvalidStep):
            self._failed[letter_id] = f"it cannot be tried again: {error}: look at it, or drop it"
        else:
            self._failed[letter_id] = str(error)
            self.broken = True

    def told(self) -> Ended:
        """In the order of the ids; of what nothing was said: not tried."""
        left = [one for one in self.ids if one not in self._done and one not in self._missing]
        return Ended(
            done=tuple(one for one in self.ids if one in self._done),
            missing=tuple(one for one in self.ids if one in self._missing),
            failed={one: self._failed.get(one, NOT_TRIED) for one in left},
        )


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
