"""Saying the same thing now and then, however often it happens."""

from collections import Counter

from shared.domain.latest import Latest
from shared.ports.clock import Clock

HOUR = 3_600.0
MAX_SAID = 1_000


class Seldom:
    """Remembers when something was said last; of many different things the first are forgotten."""

    def __init__(self, *, clock: Clock, every: float = HOUR, max_said: int = MAX_SAID) -> None:
        """`every`: seconds between two times."""
        self._clock = clock
        self._every = every
        self._said = Latest[str, float](max_said)

    def is_due(self, text: str) -> bool:
        """Whether it is to be said now: then it counts as said."""
        now = self._clock.monotonic()
        said = self._said.get(text)
        if said is not None and now < said + self._every:
            return False
        self._said[text] = now
        return True


class Bursts:
    """Of a burst of things of one kind one is said, and later how many others there were."""

    def __init__(self, *, clock: Clock, every: float) -> None:
        """`every`: seconds between two of a kind; kinds are few."""
        self._seldom = Seldom(clock=clock, every=every)
        self._unsaid: Counter[str] = Counter()

    def said(self, kind: str) -> str | None:
        """What to add to the line of one that is to be said now; None: it is counted only."""
        if not self._seldom.is_due(kind):
            self._unsaid[kind] += 1
            return None
        others = self._unsaid.pop(kind, 0)
        return f" (and {others} more since the last such line)" if others else ""
