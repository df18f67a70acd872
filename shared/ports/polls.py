"""The polling budget of all workers together: how often Anchore is asked how far analyses are."""

from typing import Protocol

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """What became of the wish to ask."""

    granted: bool
    wait: int = 0
    """Milliseconds after which it may be tried again, where it was not granted."""
    left: float = 0.0
    """Turns that the bucket holds after this."""
    under_way: int = 0
    """Scans under way in all lanes: who asks about each of them shares the budget."""
    for_people: int = 0
    """Those of them that people wait for (Lane.CHECK)."""


def most_saved(rate: float) -> float:
    """Turns that the bucket holds when it is full: a second's worth, at least a whole one."""
    return max(1.0, rate)


class Polls(Protocol):
    """A token bucket that all workers share, on the store's clock.

    Guarantees: in any `n` seconds at most `rate * n + most_saved(rate)` turns are granted to all
    together; a turn that must leave `spare` turns in the bucket is not granted where it would not;
    who is told to wait and waits finds the bucket that full, if nobody else came meanwhile.

    Errors: StoreError.
    """

    async def take(self, *, rate: float, spare: float = 0.0) -> Turn:
        """A turn now, or none: never waits. `rate` in turns a second."""
