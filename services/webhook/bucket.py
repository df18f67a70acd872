"""So many a second, and not more: whoever finds none left comes again."""

from shared.ports.clock import Clock


class Bucket:
    """`rate` a second, of which `most` are saved up."""

    def __init__(self, *, clock: Clock, rate: float, most: float) -> None:
        self._clock = clock
        self._rate = rate
        self._most = most
        self._saved = most
        self._at = clock.monotonic()

    def take(self, number: int = 1) -> bool:
        """Whether there were so many."""
        now = self._clock.monotonic()
        self._saved = min(self._most, self._saved + (now - self._at) * self._rate)
        self._at = now
        if self._saved < number:
            return False
        self._saved -= number
        return True
