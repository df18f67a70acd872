"""Namespaces followed: listed, then watched, and listed again where a watch cannot go on.

A watch that says nothing proves nothing by itself. A connection may be dead at the other end: so
the API server is asked to end each watch soon, and one that does not end is given up. And after a
restore of etcd the API server takes a version that is ahead of it, and says nothing until the end
(docs/design/kube-facts.md 7): so a watch without a word counts only where the API server's own
version is no smaller.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing

from shared.adapters.kubernetes.failures import Expired, TooLarge, failure_of_status
from shared.adapters.kubernetes.kept import Kept
from shared.adapters.kubernetes.limits import MAX_PAGE, Pace
from shared.adapters.kubernetes.namespace_wire import ADVICE, NamespaceWire
from shared.adapters.kubernetes.objects import Event, Page
from shared.adapters.kubernetes.view import NamespaceView
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from shared.ports.clock import Clock
from shared.ports.namespaces import WatchEnd

log = logging.getLogger(__name__)


class NamespaceWatch:
    """Keeps a view up to date until cancelled."""

    def __init__(
        self,
        *,
        wire: NamespaceWire,
        view: NamespaceView,
        clock: Clock,
        pace: Pace,
        on_end: Callable[[WatchEnd], None] = lambda end: None,
    ) -> None:
        self._wire = wire
        self._view = view
        self._clock = clock
        self._pace = pace
        self._on_end = on_end
        self._version = ""
        """Where the next watch goes on; empty: all are listed first."""
        self._pause = 0.0
        self._begun = False
        self._lost_by: ClusterUnreachable | None = None
        self._disbelieved = False
        self._overfull = False

    async def run(self) -> None:
        """Again and again."""
        self._version, self._begun = "", False
        while True:
            began = self._clock.monotonic()
            end = await self._once()
            self._on_end(end)
            if end is WatchEnd.DONE and self._clock.monotonic() - began >= self._pace.shortest:
                self._pause = 0.0
            else:
                await asyncio.sleep(self._longer_pause())

    async def _once(self) -> WatchEnd:
        """One watch, whatever becomes of it."""
        try:
            version, self._version = self._version or await self._list(), ""
            return await self._watch(version)
        except Expired:
            self._version = ""
            return WatchEnd.GONE
        except ClusterUnreachable as error:
            self._lost(error)
            refused = isinstance(error, ClusterMisconfigured)
            return WatchEnd.REFUSED if refused else WatchEnd.LOST
        except Exception:
            # The loop must live: without it every pod of some rules would be refused at last.
            log.exception("following namespaces failed")
            return WatchEnd.LOST

    async def _list(self) -> str:
        """All of them into the view; the version to watch from. Raises ClusterUnreachable."""
        found = Kept()
        more = ""
        try:
            async with asyncio.timeout(self._pace.listing):
                while True:
                    page = await self._some(more)
                    for item in page.items:
                        found.put(item.metadata.name, item.labels)
                    more = page.metadata.more
                    if not more:
                        break
        except TimeoutError as error:
            raise ClusterUnreachable(
                f"the Kubernetes API at {self._wire.host} did not list all namespaces within "
                f"{self._pace.listing:g} s; it is asked again"
            ) from error
        self._view.replaced(found)
        self._listed(found)
        return page.metadata.version

    async def _some(self, more: str) -> Page:
        """One page; a smaller one where somebody wrote very much into some namespaces."""
        limit = MAX_PAGE
        while True:
            try:
                return await self._wire.page(limit=limit, more=more)
            except TooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)

    async def _watch(self, version: str) -> WatchEnd:
        """Until it ends. Raises ClusterUnreachable."""
        try:
            async with (
                asyncio.timeout(self._pace.watch + self._pace.grace),
                aclosing(self._wire.watch(version)) as events,
            ):
                async for event in events:
                    self._hear(event)
        except TimeoutError:
            return WatchEnd.SILENT
        if not self._version:
            if not await self._has_reached(version):
                return WatchEnd.SILENT
            self._proven(version)
        return WatchEnd.DONE

    async def _has_reached(self, version: str) -> bool:
        """Whether the API server knows of that version, or of a later one."""
        newest = (await self._wire.page(limit=1)).metadata.version
        # Plain numbers, which may be compared (Kubernetes 1.35 promises it).
        if not (newest.isdecimal() and version.isdecimal()):
            return False
        return int(newest) >= int(version)

    def _hear(self, event: Event) -> None:
        """Raises ClusterUnreachable for what ends the watch."""
        if event.status is not None:
            raise failure_of_status(
                self._wire.host, "watch namespaces", event.status, advice=ADVICE
            )
        meta = event.partial.metadata
        match event.type:
            case "DELETED":
                self._view.removed(meta.name)
            case "ADDED" | "MODIFIED":
                self._view.changed(meta.name, event.partial.labels)
            case _:
                pass
        self._proven(meta.version)

    def _proven(self, version: str) -> None:
        """All that changed until that version is known."""
        self._version = version
        self._view.proven()
        self._back()

    def _longer_pause(self) -> float:
        """Seconds, each time about twice as long; not all webhooks come back at once."""
        self._pause = min(max(2 * self._pause, self._pace.first_pause), self._pace.last_pause)
        return self._pause * random.uniform(0.5, 1.0)

    def _listed(self, found: Kept) -> None:
        fields = {"known": len(found), "kubernetes": self._wire.host}
        if not self._begun:
            log.info("namespaces are followed", extra=fields)
            self._begun = True
        if found.left_out and not self._overfull:
            log.error(
                "labels of some namespaces are not kept: there are too many namespaces, which are "
                "then read as reviews need them, or too many labels of one, whose pods are refused",
                extra=fields | {"left_out": found.left_out},
            )
        self._overfull = bool(found.left_out)

    def _back(self) -> None:
        """Only a watch shows that they are followed: a listing may work without one."""
        if self._lost_by is not None:
            log.info("namespaces are followed again", extra={"kubernetes": self._wire.host})
        self._lost_by, self._disbelieved = None, False

    def _lost(self, error: ClusterUnreachable) -> None:
        """Once an outage, and once more when labels are not believed any more."""
        refused = isinstance(error, ClusterMisconfigured)
        if self._lost_by is None or (refused and type(self._lost_by) is not type(error)):
            level = logging.ERROR if refused else logging.WARNING
            log.log(level, "namespaces are not followed", extra={"why": str(error)})
            self._lost_by = error
        if self._view.begun and not self._view.believed and not self._disbelieved:
            log.error(
                "labels of namespaces are not believed any more: reviews ask for each one that "
                "they need",
                extra={"why": str(error)},
            )
            self._disbelieved = True
