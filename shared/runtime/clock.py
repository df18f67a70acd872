"""The machine's own clock, for `shared.ports.clock.Clock`."""

import time


class SystemClock:
    """Wall time in milliseconds, monotonic time in seconds."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
