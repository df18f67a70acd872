"""Nodes: their platforms are written down, signed, for webhooks to count and workers to judge by.

An empty or broken list takes nothing away, and neither does a record that somebody had forgotten:
this process remembers what it wrote.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing

from services.worker.ledger import Ledger
from shared.domain.platforms import MAX_PLATFORMS, Platforms, assumed
from shared.domain.rules import Rules
from shared.ports.clock import Clock
from shared.ports.cluster import Cluster

log = logging.getLogger(__name__)


class NodePlatforms:
    """Looks at all nodes. Raises ClusterUnreachable, StoreError and TransientFailure."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        ledger: Ledger,
        rules: Callable[[], Rules],
        clock: Clock,
        name: str = "",
        needed: bool = False,
        on_nodes: Callable[[Mapping[str, int], Platforms], None] = lambda nodes, record: None,
    ) -> None:
        """`name` is the cluster's among those of one store; `needed` as in `PlatformTerms`;
        `on_nodes` is told how many nodes there are of each platform, and what was written."""
        self._cluster = cluster
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._name = name
        self._needed = needed
        self._on_nodes = on_nodes
        self._known: Platforms | None = None
        self._unnamed: tuple[str, ...] = ()
        self._silent = 0

    async def look(self) -> bool:
        """Once at all of them; False where none tells its platform."""
        nodes = await self._count()
        there = [platform for platform in nodes if platform]
        self._say_silent(nodes[""])
        if not there:
            return False
        now = self._clock.now()
        before = await self._before(now)
        record = before.seeing(there, now)
        await self._ledger.write_platforms(record)
        self._known = record
        self._tell(before, record)
        self._on_nodes(nodes, record)
        return True

    async def _count(self) -> Counter[str]:
        nodes: Counter[str] = Counter()
        async with aclosing(self._cluster.nodes()) as pages:
            async for page in pages:
                nodes.update(node.platform for node in page)
        return nodes

    async def _before(self, now: int) -> Platforms:
        """What is known by the store or by this process; at the very first, what counted without
        any of this."""
        stored = await self._ledger.platforms(self._name)
        if stored is not None:
            return stored.beside(self._known)
        if self._known is not None:
            return self._known
        return assumed(self._name, now - 1, every=self._needed)

    def _tell(self, before: Platforms, record: Platforms) -> None:
        known = {each.platform for each in before.platforms}
        kept = {each.platform for each in record.platforms}
        for each in record.platforms:
            if each.platform not in known:
                log.warning(
                    "nodes of a new platform are there: what is in use is judged for it, and then "
                    "it counts, at last when IMAGEGATE_POLICY_GRACE is over",
                    extra={"platform": each.platform},
                )
        for platform in sorted(known - kept):
            log.warning(
                "no node of the platform was there for a day: it counts no longer",
                extra={"platform": platform},
            )
        if record.too_many and not before.too_many:
            log.error(
                "nodes name more platforms than are followed: every manifest of an image counts "
                "until there are fewer; find the nodes that tell what they are not (kubectl get "
                "nodes -L kubernetes.io/os,kubernetes.io/arch), or name platforms in the rules",
                extra={"most": MAX_PLATFORMS},
            )
        self._say_unnamed(kept)

    def _say_unnamed(self, there: set[str]) -> None:
        """The rules have the last word, and may have forgotten something."""
        named = self._rules().platforms
        unnamed = tuple(sorted(there - set(named))) if named else ()
        if unnamed and unnamed != self._unnamed:
            log.error(
                "nodes are of platforms that the rules do not name: what runs there of an image "
                "for several platforms is judged by nobody; add them to `platforms` of the rules, "
                "or leave `platforms` out",
                extra={"unnamed": ", ".join(unnamed)},
            )
        self._unnamed = unnamed

    def _say_silent(self, silent: int) -> None:
        if silent and not self._silent:
            log.warning("some nodes tell no platform, and count as none", extra={"nodes": silent})
        self._silent = silent
