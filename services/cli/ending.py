"""Ending dead letters: which are meant, one after the other, and what became of each."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from services.console.view import DeadLetterActions, DeadRow
from shared.domain.errors import ImagegateError

NO_STEP = "it is no step and cannot be tried again: look at it, or drop it"
NOT_TRIED = "not tried after that"


class Order(StrEnum):
    """What is to become of a dead letter."""

    REQUEUE = "requeue"
    DROP = "drop"


class AmbiguousId(ImagegateError):
    """Several dead letters begin so."""


class Ended(msgspec.Struct, frozen=True):
    """What became of each, by id."""

    done: tuple[str, ...]
    missing: tuple[str, ...]
    """Not there (any more)."""
    failed: dict[str, str]
    """Why."""


class Choice(msgspec.Struct, frozen=True):
    """The letters that are meant."""

    ids: tuple[str, ...]
    strange: frozenset[str]
    """Those of them that are known to be no steps."""


def choice(letters: Sequence[DeadRow], *, ids: Sequence[str] | None = None) -> Choice:
    """All of `letters`, or those of these ids or beginnings of ids; raises AmbiguousId."""
    meant = [one.id for one in letters] if ids is None else [full_id(one, letters) for one in ids]
    strange = frozenset(letter.id for letter in letters if not letter.kind)
    return Choice(tuple(dict.fromkeys(meant)), strange)


def full_id(given: str, letters: Sequence[DeadRow]) -> str:
    """The only id that begins so; raises AmbiguousId.

    What fits none is taken for an id: it may stand beyond those that were looked at.
    """
    fitting = [letter.id for letter in letters if letter.id.startswith(given)]
    if given in fitting or not fitting:
        return given
    if len(fitting) > 1:
        raise AmbiguousId(
            f"{given} begins several dead letters ({', '.join(fitting[:5])}): write more of the id"
        )
    return fitting[0]


async def end(actions: DeadLetterActions, order: Order, choice: Choice) -> Ended:
    """Carry out `order`; an error of a server ends it, since the next would be the same."""
    done: list[str] = []
    missing: list[str] = []
    failed: dict[str, str] = {}
    act = actions.requeue if order is Order.REQUEUE else actions.drop
    for number, letter in enumerate(choice.ids):
        if order is Order.REQUEUE and letter in choice.strange:
            failed[letter] = NO_STEP
            continue
        try:
            (done if await act(letter) else missing).append(letter)
        except ImagegateError as error:
            failed[letter] = str(error)
            failed |= dict.fromkeys(choice.ids[number + 1 :], NOT_TRIED)
            break
    return Ended(tuple(done), tuple(missing), failed)
