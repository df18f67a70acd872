"""A worker that looks at a cluster in memory, with a clock of its own."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from services.worker.inventory import LOOK_EVERY, Inventory, Looked, What
from services.worker.inventory_metrics import InventoryMetrics
from services.worker.inventory_nodes import NodePlatforms
from services.worker.inventory_pods import RunningImages
from services.worker.leader import Work
from services.worker.ledger import Ledger
from shared.adapters.memory.cluster import MemoryCluster
from shared.adapters.memory.usage import MemoryUsage
from shared.domain.errors import ClusterMisconfigured, StoreUnreachable
from shared.domain.platforms import Platforms
from shared.domain.pointer import MINUTE
from shared.domain.rules import Rules
from shared.ports.cluster import Node
from shared.ports.usage import Use
from shared.runtime.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer
from tests.unit.worker.care_rig import REPOSITORY, A, CareRig

AMD, ARM = "linux/amd64", "linux/arm64"
GRACE = 60 * MINUTE
PINNED = f"{REPOSITORY}:1@{A}"


class Refusing(MemoryCluster):
    """An API server that knows who asks, and does not let him list nodes, or namespaces."""

    async def nodes(self) -> AsyncGenerator[Sequence[Node], None]:
        for _ in range(1):
            raise ClusterMisconfigured("403: bind the ClusterRole imagegate-worker")
        yield []


class Uses(MemoryUsage):
    """A store that counts what is written, and may be away."""

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.written: list[int] = []
        self.away = False

    async def record(self, uses: Mapping[Use, int]) -> None:
        if self.away:
            raise StoreUnreachable("Redis at 127.0.0.1:1 refused the connection")
        self.written.append(len(uses))
        await super().record(uses)


class Forgetful(Ledger):
    """A pen over a store of which somebody deletes what nodes are, or puts an older word back."""

    forgotten = False
    put_back: Platforms | None = None

    async def platforms(self, cluster: str) -> Platforms | None:
        if self.forgotten or self.put_back is not None:
            return self.put_back
        return await super().platforms(cluster)


class Rig(CareRig):
    """A worker that looks at a cluster."""

    def __init__(self, *, rules: Rules | None = None, cluster: MemoryCluster | None = None) -> None:
        super().__init__(rules=rules)
        self.cluster = cluster or MemoryCluster()
        self.uses_ = Uses(clock=self.clock)
        sealer = PlainSealer()
        self.forgetful = Forgetful(
            store=self.store, sealer=sealer, unsealer=sealer, clock=self.clock
        )
        self.slept: list[float] = []
        self.registry = Metrics()
        self.metrics = InventoryMetrics(self.registry, clock=self.clock)
        self.looks: list[tuple[What, Looked]] = []
        self.leases: list[str] = []
        self.inventory = self.another_inventory()

    def another_inventory(
        self, *, clock: FakeClock | None = None, every: float = LOOK_EVERY
    ) -> Inventory:
        """That of a worker which begins; `clock`: its own, where it goes otherwise."""

        async def leads(lease: str, work: Work) -> None:
            self.leases.append(lease)

        async def waits(seconds: float) -> bool:
            self.paused.append(seconds)
            self.cluster.away = False
            return True

        def looked(what: What, outcome: Looked) -> None:
            self.looks.append((what, outcome))
            self.metrics.looked(what, outcome)

        return Inventory(
            cluster=self.cluster,
            nodes=NodePlatforms(
                cluster=self.cluster,
                ledger=self.forgetful,
                rules=lambda: self.rules,
                clock=clock or self.clock,
                on_nodes=self.metrics.nodes,
            ),
            pods=RunningImages(
                cluster=self.cluster,
                usage=self.uses_,
                rules=lambda: self.rules,
                scanner="anchore",
                clock=self.clock,
                pause=self.pause,
            ),
            leads=leads,
            clock=self.clock,
            pause=waits,
            on_look=looked,
            on_pods=self.metrics.pods,
            on_end=self.metrics.ended,
            every=every,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        """The cluster is away after the first time, for a while; three times are enough."""
        self.slept.append(seconds)
        if len(self.slept) == 3:
            raise asyncio.CancelledError
        self.cluster.away = len(self.slept) == 1

    async def in_use(self) -> dict[tuple[str, str], int]:
        """When each was last used, by reference and policy."""
        used = await self.uses_.recent(limit=1_000)
        return {(each.use.reference, each.use.question.policy): each.at for each in used}

    async def record(self) -> Platforms:
        found = await self.ledger.platforms("")
        assert found is not None
        return found

    async def counted(self) -> tuple[str, ...] | None:
        return (await self.record()).counted(self.clock.now(), GRACE)

    def exported(self) -> list[str]:
        told = self.registry.render().decode().splitlines()
        return [line for line in told if not line.startswith("#")]
