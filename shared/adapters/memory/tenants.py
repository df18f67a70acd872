"""What counts for tenants: requests that hold no scan yet, and scans under way, each to its end."""

from shared.ports.clock import Clock

MANY = 1_000
"""Tenants from which on those are looked for of whom nothing counts any more."""


class Counted:
    """By tenant, what counts for it; what has ended does not. Without a tenant nothing counts."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, dict[str, int]] = {}

    def number(self, tenant: str, *, but: str) -> int:
        """How many count for `tenant`, without `but`."""
        self._forget_ended(tenant)
        return sum(name != but for name in self._ends.get(tenant, ()))

    def count(self, tenant: str, name: str, *, ends: int) -> None:
        """Have `name` count until `ends` (ms)."""
        if not tenant:
            return
        if tenant not in self._ends and len(self._ends) >= MANY:
            for one in list(self._ends):
                self._forget_ended(one)
        self._ends.setdefault(tenant, {})[name] = ends

    def free(self, tenant: str, name: str) -> None:
        """Have it count no longer."""
        self._ends.get(tenant, {}).pop(name, None)
        self._forget_ended(tenant)

    def _forget_ended(self, tenant: str) -> None:
        now = self._clock.now()
        left = {name: ends for name, ends in self._ends.pop(tenant, {}).items() if ends > now}
        if left:
            self._ends[tenant] = left
