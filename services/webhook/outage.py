"""The Kubernetes API does not do what it is asked: said once, and left alone for a while."""

import logging

from shared.domain.errors import ClusterMisconfigured, ClusterRefused, ClusterUnreachable
from shared.domain.latest import Latest
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

REST = 5.0
REST_OF_THE_REFUSED = 60.0
"""Seconds: rights are given by people."""
MAX_NAMESPACES = 1_000
"""That are remembered; the ones where it failed longest ago are forgotten, and asked sooner."""


class Outage:
    """Of one thing that is asked of the Kubernetes API.

    What is refused in one namespace, by a policy or a right that is missing there, is left alone
    there and nowhere else. What fails otherwise may be the API server itself, and rests everybody,
    but where it failed before and was done elsewhere since.
    """

    def __init__(self, *, clock: Clock, what: str) -> None:
        """`what` goes on without it: "owners of blocked pods are not nudged"."""
        self._clock = clock
        self._what = what
        self._because: type[ClusterUnreachable] | None = None
        self._until = 0.0
        self._resting = Latest[str, float](MAX_NAMESPACES)
        self._fails = Latest[str, float](MAX_NAMESPACES)

    def until(self, namespace: str) -> float | None:
        """When it is tried again there (monotonic seconds); None: now."""
        until = max(self._until, self._resting.get(namespace, 0.0))
        return until if self._clock.monotonic() < until else None

    def fails_in(self, namespace: str) -> bool:
        """Whether it failed there last: it is tried elsewhere first."""
        return namespace in self._fails

    def failed(self, namespace: str, error: ClusterUnreachable) -> None:
        """It was tried there in vain."""
        now, wrong = self._clock.monotonic(), isinstance(error, ClusterMisconfigured)
        rest, level = (REST_OF_THE_REFUSED, logging.ERROR) if wrong else (REST, logging.WARNING)
        here_alone = not wrong and self._because is None and self.fails_in(namespace)
        self._fails[namespace] = now
        if here_alone or isinstance(error, ClusterRefused):
            if namespace not in self._resting:
                log.log(level, self._what, extra={"namespace": namespace, "why": str(error)})
            self._resting[namespace] = now + rest
            return
        self._until = now + rest
        if self._because is not type(error):
            log.log(level, self._what, extra={"why": str(error)})
        self._because = type(error)

    def over(self, namespace: str) -> None:
        """It was done there."""
        self._fails.pop(namespace, None)
        if self._because is not None:
            log.info("no longer so: %s", self._what)
        self._because, self._until = None, 0.0
        if self._resting.pop(namespace, None) is not None:
            log.info("no longer so: %s", self._what, extra={"namespace": namespace})
