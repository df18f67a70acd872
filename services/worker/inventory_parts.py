"""What the inventory consists of, put together over the ports that it stands on."""

from collections.abc import Callable

from services.worker.inventory import Inventory
from services.worker.inventory_metrics import InventoryMetrics
from services.worker.inventory_nodes import NodePlatforms
from services.worker.inventory_pods import RunningImages
from services.worker.leader import Leader, Work
from services.worker.ledger import Ledger
from services.worker.pausing import pause_unless
from services.worker.settings import WorkerSettings
from shared.domain.rules import Rules
from shared.ports.cluster import Cluster
from shared.ports.leadership import Leadership
from shared.ports.usage import Usage
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle


def inventory_of(
    settings: WorkerSettings,
    life: Lifecycle,
    *,
    cluster: Cluster,
    usage: Usage,
    leadership: Leadership,
    ledger: Ledger,
    rules: Callable[[], Rules],
    metrics: InventoryMetrics,
    owner: str,
) -> Inventory:
    """What one worker of a cluster does for all of that cluster; `owner` is this process."""
    clock = SystemClock()

    async def leads(lease: str, work: Work) -> None:
        leader = Leader(
            leadership=leadership,
            name=lease,
            owner=owner,
            clock=clock,
            stopping=life.stopping,
            what="looks at the cluster's pods and nodes",
        )
        await leader.run(work)

    return Inventory(
        cluster=cluster,
        nodes=NodePlatforms(
            cluster=cluster,
            ledger=ledger,
            rules=rules,
            clock=clock,
            name=settings.imagegate_cluster,
            needed=settings.imagegate_inventory == "on",
            on_nodes=metrics.nodes,
        ),
        pods=RunningImages(
            cluster=cluster,
            usage=usage,
            rules=rules,
            scanner=settings.imagegate_scanner,
            clock=clock,
        ),
        leads=leads,
        clock=clock,
        pause=pause_unless(life.stopping),
        on_look=metrics.looked,
        on_pods=metrics.pods,
        on_end=metrics.ended,
        every=settings.imagegate_inventory_every,
    )
