"""A clock that a test owns."""

START = 1_750_000_000_000


class FakeClock:
    """A `shared.ports.clock.Clock` that stands still until it is advanced."""

    def __init__(self, *, now: int = START) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, milliseconds: int) -> None:
        """Let time pass on both clocks."""
        self._now += milliseconds
        self._monotonic += milliseconds / 1000

    def put(self, milliseconds: int) -> None:
        """Put the clock forward, or back: no time passes."""
        self._now += milliseconds
