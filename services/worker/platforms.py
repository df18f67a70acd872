"""For which platforms images are judged: the rules' word, else that of the cluster's nodes."""

from collections.abc import Callable

from services.worker.ledger import Ledger
from shared.domain.platforms import Counted, Platforms, PlatformTerms
from shared.domain.rules import Rules
from shared.ports.clock import Clock

READ_EVERY = 5.0
"""Seconds for which the record of the nodes is taken to be as it was."""

NODES = PlatformTerms()


class JudgedPlatforms:
    """As this worker knows them. Raises StoreError."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        rules: Callable[[], Rules],
        clock: Clock,
        terms: PlatformTerms = NODES,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._terms = terms
        self._read_at = float("-inf")
        self._record: Platforms | None = None

    async def now(self) -> Counted:
        """Also those that do not count yet: they do once what is in use has been judged."""
        return self._terms.to_judge(self._rules(), await self.record())

    async def record(self) -> Platforms | None:
        """What was seen of the nodes; None also where it does not matter."""
        if not self._terms.key(self._rules()):
            return None
        if self._clock.monotonic() >= self._read_at + READ_EVERY:
            self._record = await self._ledger.platforms(self._terms.cluster)
            self._read_at = self._clock.monotonic()
        return self._record
