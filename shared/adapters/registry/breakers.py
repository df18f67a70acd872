"""A circuit breaker for each registry: one that does not answer is left alone for a while.

Who writes pods chooses registries: so a bounded number of them is remembered, and those that the
rules name are the last to be forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.adapters.breaker import Attempt, Breaker, BreakerState
from shared.adapters.registry.failures import NoAnswer, NotNow
from shared.domain.errors import PermanentFailure
from shared.domain.rules import Rules
from shared.ports.clock import Clock

MAX_HOSTS = 256


class RegistryBreakers:
    """By host, as references name it (docs/adr/0025).

    Unreachable, silent or 5xx is a failure, also of the token service that a registry sends us to;
    whatever else it says is an answer, 401, 404 and 429 too.
    """

    def __init__(
        self, *, rules: Callable[[], Rules], clock: Clock, max_hosts: int = MAX_HOSTS
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._max_hosts = max_hosts
        # The ones that were asked last are at the end.
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    @contextmanager
    def asking(self, host: str) -> Iterator[None]:
        """Ask `host` inside. While it is taken for down that raises TakenForDown, and so does a
        failure by which it is: an outage is no fault of who asks."""
        breaker = self._breaker(host)
        try:
            with breaker.attempt() as attempt:
                yield from _told(attempt)
        except NoAnswer as failure:
            if breaker.state is BreakerState.CLOSED:
                raise
            raise breaker.refusal() from failure

    def down(self) -> dict[bool, int]:
        """How many are taken for down: of those that the rules name (True), of others (False)."""
        named = self._named()
        down = {True: 0, False: 0}
        for host, breaker in self._breakers.items():
            down[host in named] += breaker.state is not BreakerState.CLOSED
        return down

    def _breaker(self, host: str) -> Breaker:
        breaker = self._breakers.get(host)
        if breaker is None:
            breaker = Breaker(what=f"the registry {host}", clock=self._clock)
            self._breakers[host] = breaker
            self._bound()
        self._breakers.move_to_end(host)
        return breaker

    def _bound(self) -> None:
        if len(self._breakers) <= self._max_hosts:
            return
        named = self._named()
        strange = (host for host in self._breakers if host not in named)
        del self._breakers[next(strange, next(iter(self._breakers)))]

    def _named(self) -> frozenset[str]:
        return frozenset(entry.host for entry in self._rules().registries)


def _told(attempt: Attempt) -> Iterator[None]:
    """Tell the breaker how what is asked inside ends."""
    try:
        yield
    except NoAnswer as failure:
        attempt.failed(str(failure))
        raise
    except (NotNow, PermanentFailure):
        attempt.answered()
        raise
    attempt.answered()
