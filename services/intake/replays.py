"""Which events were taken a while ago, so that one that is sent again costs nothing.

In this process only: elsewhere, and after a restart, a replay costs one question to the
registry at most (docs/design/push-events.md).
"""

from shared.domain.latest import Latest
from shared.ports.clock import Clock

MAX_EVENTS = 50_000
"""About 8 MB."""


class Replays:
    """Events by `Push.event`; bounded in number, the oldest go first, and in age."""

    def __init__(self, *, clock: Clock, life: float, max_events: int = MAX_EVENTS) -> None:
        """`life` (seconds) is how long an event is remembered."""
        self._clock = clock
        self._life = life
        self._taken = Latest[bytes, float](max_events)

    def seen(self, event: bytes) -> bool:
        """Whether it was taken within its life."""
        taken = self._taken.get(event)
        return taken is not None and self._clock.monotonic() < taken + self._life

    def remember(self, event: bytes) -> None:
        """It was taken now; an event without a name is never remembered."""
        if not event:
            return
        self._taken[event] = self._clock.monotonic()

    def forget(self, event: bytes) -> None:
        """It was not taken after all."""
        self._taken.pop(event, None)
