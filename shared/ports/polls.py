"""The polling budget of all workers together: how often Anchore is asked how far analyses are."""

from typing import Protocol

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """What became of the wish to ask."""

    granted: bool
    wait: int = 0
    """Milliseconds after which it may be tried again, where it was not granted."""
    under_way: int = 0
    """Scans under way in all lanes: who asks about each of them shares the budget."""


class Polls(Protocol):
    """A token bucket that all workers share, on the store's clock.

    Guarantees: in any `n` seconds at most `rate * n + max(1, rate)` turns are granted to all
    together; a turn that must leave `spare` tokens in the bucket is not granted where it would not.

    Errors: StoreError.
    """

    async def take(self, *, rate: float, spare: float = 0.0) -> Turn:
        """A turn now, or none: never waits. `rate` in turns a second."""
