"""The inventory: what runs in the cluster and on what, looked at now and then by one worker.

One for each cluster, by a lease of its own: clusters that share a store each have theirs
(docs/design/inventory.md).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum

from services.worker.inventory_nodes import NodePlatforms
from services.worker.inventory_pods import Running, RunningImages
from services.worker.leader import Work
from services.worker.pausing import Pause
from shared.domain.errors import (
    ClusterMisconfigured,
    ClusterUnreachable,
    ImagegateError,
    StoreError,
    TransientFailure,
)
from shared.ports.clock import Clock
from shared.ports.cluster import Cluster

log = logging.getLogger(__name__)

LOOK_EVERY = 600.0
"""Seconds from one look to the next (docs/design/behaviour.md 2)."""

AGAIN = 60.0
"""Seconds after one that failed."""


class What(StrEnum):
    """What is looked at, for the metrics."""

    NODES = "nodes"
    PODS = "pods"
    NAMESPACES = "namespaces"
    CLUSTER = "cluster"
    """Which one it is."""


class Looked(StrEnum):
    """What became of a look, for the metric."""

    DONE = "done"
    EMPTY = "empty"
    """No node told its platform: nothing was taken from that."""
    REFUSED = "refused"
    """A person must correct something: a right is missing, or how the API is reached."""
    FAILED = "failed"


Leads = Callable[[str, Work], Awaitable[None]]
"""Has the work done by one of all who share a lease of that name, until the process stops."""


class Inventory:
    """Looks until the process stops."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        nodes: NodePlatforms,
        pods: RunningImages,
        leads: Leads,
        clock: Clock,
        pause: Pause,
        on_look: Callable[[What, Looked], None] = lambda what, looked: None,
        on_pods: Callable[[Running], None] = lambda found: None,
        on_end: Callable[[], None] = lambda: None,
        every: float = LOOK_EVERY,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`pause` ends at once when the process is to stop; `on_end`: another worker looks from now
        on; `every` in seconds."""
        self._cluster = cluster
        self._nodes = nodes
        self._pods = pods
        self._leads = leads
        self._clock = clock
        self._pause = pause
        self._on_look = on_look
        self._on_pods = on_pods
        self._on_end = on_end
        self._every = every
        self._sleep = sleep
        self._said: dict[What, str] = {}

    async def run(self) -> None:
        """Until the process stops."""
        while (identity := await self._identity()) is None:
            if not await self._pause(AGAIN):
                return
        await self._leads(f"inventory:{identity}", self.rounds)

    async def rounds(self) -> None:
        """Until cancelled."""
        try:
            while True:
                began = self._clock.monotonic()
                wait = self._every if await self.once() else min(AGAIN, self._every)
                await self._sleep(max(0.0, began + wait - self._clock.monotonic()))
        finally:
            self._on_end()

    async def once(self) -> bool:
        """One look at everything; whether all of it could be seen. Nodes first: they are few, and
        more hangs on them."""
        nodes = await self._look(What.NODES, self._look_at_nodes)
        pods = await self._look(What.PODS, self._look_at_pods)
        return nodes and pods

    async def _identity(self) -> str | None:
        try:
            identity = await self._cluster.identity()
        except ClusterUnreachable as error:
            self._not_seen(What.CLUSTER, error)
            return None
        self._seen(What.CLUSTER, Looked.DONE)
        return identity

    async def _look(self, what: What, look: Callable[[], Awaitable[Looked]]) -> bool:
        try:
            looked = await look()
        except (ClusterUnreachable, StoreError, TransientFailure) as error:
            self._not_seen(what, error)
            return False
        self._seen(what, looked)
        return looked is Looked.DONE

    async def _look_at_nodes(self) -> Looked:
        return Looked.DONE if await self._nodes.look() else Looked.EMPTY

    async def _look_at_pods(self) -> Looked:
        found = await self._pods.look()
        self._on_pods(found)
        if found.unlabelled is not None:
            self._not_seen(What.NAMESPACES, found.unlabelled)
        elif found.labels:
            self._seen(What.NAMESPACES, Looked.DONE)
        return Looked.DONE

    def _seen(self, what: What, looked: Looked) -> None:
        self._on_look(what, looked)
        if looked is Looked.EMPTY:
            self._say(what, logging.WARNING, "no node tells its platform")
        elif self._said.pop(what, None) is not None:
            log.info("the cluster can be looked at again", extra={"what": str(what)})

    def _not_seen(self, what: What, error: ImagegateError) -> None:
        refused = isinstance(error, ClusterMisconfigured)
        self._on_look(what, Looked.REFUSED if refused else Looked.FAILED)
        self._say(what, logging.ERROR if refused else logging.WARNING, str(error))

    def _say(self, what: What, level: int, why: str) -> None:
        """Once for as long as it is so."""
        if self._said.get(what) != why:
            log.log(
                level,
                "the cluster cannot be looked at: what is known of it stays as it was, and all "
                "else goes on",
                extra={"what": str(what), "why": why},
            )
        self._said[what] = why
