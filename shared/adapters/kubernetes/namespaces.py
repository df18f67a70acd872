"""The labels of namespaces as the Kubernetes API says them (`shared.ports.namespaces`)."""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.failures import NotThere
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.namespace_wire import NamespaceWire
from shared.adapters.kubernetes.reading import Reads
from shared.adapters.kubernetes.view import NamespaceView
from shared.adapters.kubernetes.watching import NamespaceWatch
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from shared.ports.clock import Clock
from shared.ports.namespaces import Followed, ReadOutcome, WatchEnd

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""What Kubernetes takes for a namespace's name: nothing else is asked for."""


class KubernetesNamespaces:
    """Namespaces of one cluster. An async context manager: nothing is opened before.

    `on_watch` and `on_read` are told how watches end, and what becomes of single questions.
    """

    def __init__(
        self,
        *,
        server: ApiServer,
        clock: Clock,
        pace: Pace | None = None,
        on_watch: Callable[[WatchEnd], None] = lambda end: None,
        on_read: Callable[[ReadOutcome], None] = lambda outcome: None,
    ) -> None:
        pace = pace or Pace()
        self._wire = NamespaceWire(server=server, pace=pace)
        self._reads = Reads(ask=self._ask, clock=clock, patience=pace.review, on_read=on_read)
        self._view = NamespaceView(clock=clock, pace=pace, on_known=self._reads.known)
        self._watch = NamespaceWatch(
            wire=self._wire, view=self._view, clock=clock, pace=pace, on_end=on_watch
        )
        self._open = AsyncExitStack()
        self._said = False

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._wire)
        self._open.push_async_callback(self._reads.aclose)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    def followed(self) -> Followed | None:
        """How well they are known; None while nobody is to follow them."""
        age = self._view.age
        return None if age is None else Followed(self._view.known, age)

    def labels(self, namespace: str) -> Mapping[str, str] | None:
        return self._view.labels(namespace)

    async def read(self, namespace: str) -> Mapping[str, str] | None:
        labels = self._view.labels(namespace)
        if labels is not None or not _NAME.fullmatch(namespace):
            return labels
        if not self._view.is_missing(namespace):
            await self._reads.wait(namespace)
        return self._view.labels(namespace)

    async def follow(self) -> None:
        self._view.sought()
        try:
            await self._watch.run()
        finally:
            self._view.forget()

    async def ping(self) -> None:
        await self._wire.page(limit=1)

    def check(self) -> None:
        self._wire.access.check()

    async def _ask(self, name: str) -> ReadOutcome:
        try:
            partial = await self._wire.namespace(name)
        except NotThere:
            self._view.was_read(name, None)
            return ReadOutcome.UNKNOWN
        except ClusterUnreachable as error:
            refused = isinstance(error, ClusterMisconfigured)
            self._failed(error, refused=refused)
            return ReadOutcome.REFUSED if refused else ReadOutcome.FAILED
        self._view.was_read(name, partial.labels)
        self._said = False
        return ReadOutcome.FOUND

    def _failed(self, error: ClusterUnreachable, *, refused: bool) -> None:
        """Once an outage."""
        if not self._said:
            level = logging.ERROR if refused else logging.WARNING
            log.log(level, "a namespace cannot be read", extra={"why": str(error)})
        self._said = True
