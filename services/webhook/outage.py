"""The Kubernetes API does not do what it is asked: said once, and left alone for a while."""

import logging

from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

REST = 5.0
REST_OF_THE_REFUSED = 60.0
"""Seconds: rights are given by people."""


class Outage:
    """Of one thing that is asked of the Kubernetes API."""

    def __init__(self, *, clock: Clock, what: str) -> None:
        """`what` goes on without it: "owners of blocked pods are not nudged"."""
        self._clock = clock
        self._what = what
        self._because: type[ClusterUnreachable] | None = None
        self._until = 0.0

    @property
    def until(self) -> float | None:
        """When it is tried again (monotonic seconds); None: now."""
        return self._until if self._clock.monotonic() < self._until else None

    def failed(self, error: ClusterUnreachable) -> None:
        """It was tried in vain."""
        refused = isinstance(error, ClusterMisconfigured)
        rest = REST_OF_THE_REFUSED if refused else REST
        self._until = self._clock.monotonic() + rest
        if self._because is not type(error):
            level = logging.ERROR if refused else logging.WARNING
            log.log(level, self._what, extra={"why": str(error)})
        self._because = type(error)

    def over(self) -> None:
        """It was done."""
        if self._because is not None:
            log.info("no longer so: %s", self._what)
        self._because, self._until = None, 0.0
