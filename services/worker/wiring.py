"""The worker's composition root: settings in, running lanes out."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from services.worker.budget import PollBudget
from services.worker.dispatch import Dispatch, Follower
from services.worker.ledger import Ledger
from services.worker.metrics import WorkerMetrics
from services.worker.pointing import Pointing
from services.worker.reconcile import Reconciler
from services.worker.scan import Scan
from services.worker.settings import WorkerSettings
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner
from shared.ports.signing import Sealer, Unsealer
from shared.ports.steps import StepQueue
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.health import health_app
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics

log = logging.getLogger(__name__)


class WorkerPorts(msgspec.Struct, frozen=True):
    """What a worker stands on."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
    queue: StepQueue
    scanner: Scanner
    resolver: DigestResolver
    sealer: Sealer
    unsealer: Unsealer


def run_worker(
    settings: WorkerSettings,
    life: Lifecycle,
    *,
    ports: WorkerPorts,
    rules: Rules,
    metrics: WorkerMetrics,
) -> None:
    """Have `life` watch every lane and the reconciler; drain with `ports.queue.drain`."""
    clock = SystemClock()
    ledger = Ledger(store=ports.store, sealer=ports.sealer, unsealer=ports.unsealer)
    follower = Follower(queue=ports.queue)
    scan = Scan(
        scanner=ports.scanner,
        pointing=Pointing(resolver=ports.resolver, ledger=ledger, rules=lambda: rules, clock=clock),
        ledger=ledger,
        claims=ports.claims,
        leases=ports.leases,
        follow=follower.follow,
        budget=PollBudget(rate=settings.imagegate_polls, clock=clock),
        clock=clock,
        analysis_limit=settings.imagegate_analysis_limit,
        on_verdict=metrics.verdict,
    )
    dispatch = Dispatch(scan=scan, follower=follower, on_step=metrics.step)
    slots = {
        Lane.RESOLVE: settings.imagegate_slots,
        Lane.ADMISSION: settings.imagegate_slots,
        Lane.CHECK: settings.imagegate_slots,
        Lane.PREWARM: settings.imagegate_prewarm_slots,
        Lane.CHECK_PREWARM: settings.imagegate_prewarm_slots,
    }
    for lane, concurrency in slots.items():
        life.watch(
            ports.queue.consume(lane, dispatch.handle, concurrency=concurrency),
            name=f"consume {lane}",
        )
    reconciler = Reconciler(claims=ports.claims, queue=ports.queue, clock=clock)
    life.watch(reconciler.run(), name="reconcile")
