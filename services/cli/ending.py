"""Ending dead letters: which are meant, and what is to become of them."""

from collections.abc import Sequence
from enum import StrEnum

from services.console.view import DeadLetterActions, DeadRow
from shared.domain.errors import ImagegateError
from shared.ports.steps import Ended


class Order(StrEnum):
    """What is to become of a dead letter."""

    REQUEUE = "requeue"
    DROP = "drop"


class AmbiguousId(ImagegateError):
    """Several dead letters begin so."""


def meant(letters: Sequence[DeadRow], *, ids: Sequence[str] | None = None) -> tuple[str, ...]:
    """The ids of all `letters`, or those that these ids or beginnings of ids mean.

    Raises AmbiguousId.
    """
    named = [one.id for one in letters] if ids is None else [full_id(one, letters) for one in ids]
    return tuple(dict.fromkeys(named))


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


async def end(actions: DeadLetterActions, order: Order, letter_ids: Sequence[str]) -> Ended:
    """Carry out `order`."""
    act = actions.requeue if order is Order.REQUEUE else actions.drop
    return await act(letter_ids)
