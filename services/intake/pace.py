"""How often something may happen, whoever asks for it."""

from shared.ports.clock import Clock


class Pace:
    """A bucket of tokens: at most `burst` at once, and `rate` a second after that."""

    def __init__(self, *, clock: Clock, rate: float, burst: int) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled = clock.monotonic()

    def take(self, number: int) -> bool:
        """Take `number` tokens, or none of them; whether they were there."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < number:
            return False
        self._tokens -= number
        return True
