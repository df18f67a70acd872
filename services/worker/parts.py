"""What a worker consists of, put together over the ports that it stands on."""

from collections.abc import Callable

import msgspec

from services.worker.budget import PollBudget
from services.worker.care import Care
from services.worker.dispatch import Dispatch, Follower
from services.worker.freshness import Freshness
from services.worker.inventory_parts import inventory_of
from services.worker.judging import Judging
from services.worker.leader import Leader, Work
from services.worker.ledger import Ledger
from services.worker.looking import AnalysisLimits
from services.worker.metrics import WorkerMetrics
from services.worker.new_platforms import NewPlatforms
from services.worker.pausing import pause_unless
from services.worker.platforms import JudgedPlatforms
from services.worker.pointing import Pointing
from services.worker.policy_watch import PolicyWatch
from services.worker.quick import SHARE, QuickLooks
from services.worker.reconcile import Reconciler
from services.worker.refresh import Refresh
from services.worker.scan import Scan
from services.worker.settings import WorkerSettings
from services.worker.survey import Surveyor
from shared.domain.platforms import PlatformTerms
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.domain.verdict import Action
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.cluster import Cluster
from shared.ports.leadership import Leadership
from shared.ports.policies import Policies
from shared.ports.polls import Polls
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner
from shared.ports.signing import Sealer, Unsealer
from shared.ports.steps import StepQueue
from shared.ports.usage import Usage
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.pulse import new_name


class WorkerPorts(msgspec.Struct, frozen=True):
    """What a worker stands on."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
    queue: StepQueue
    scanner: Scanner
    policies: Policies
    usage: Usage
    leadership: Leadership
    polls: Polls
    resolver: DigestResolver
    sealer: Sealer
    unsealer: Unsealer
    cluster: Cluster | None = None
    """None: nobody looks at pods and nodes from here."""


def run_worker(
    settings: WorkerSettings,
    life: Lifecycle,
    *,
    ports: WorkerPorts,
    rules: Callable[[], Rules],
    metrics: WorkerMetrics,
    name: str = "",
) -> None:
    """Have `life` watch every lane, and what the leader does; drain with `ports.queue.drain`.
    `name` is the process's own, empty: one is made."""
    clock = SystemClock()
    ledger = Ledger(
        store=ports.store,
        sealer=ports.sealer,
        unsealer=ports.unsealer,
        clock=clock,
        on_unbelieved=metrics.unbelieved,
    )
    freshness = Freshness(usage=ports.usage, clock=clock, most=settings.imagegate_refresh_rate)
    platforms = JudgedPlatforms(
        ledger=ledger,
        rules=rules,
        clock=clock,
        terms=PlatformTerms.told(
            cluster=settings.imagegate_cluster, inventory=settings.imagegate_inventory
        ),
    )
    pointing = Pointing(
        resolver=ports.resolver, ledger=ledger, rules=rules, clock=clock, platforms=platforms
    )
    judging = Judging(
        scanner=ports.scanner,
        pointing=pointing,
        ledger=ledger,
        clock=clock,
        freshness=freshness,
        on_verdict=metrics.verdict,
        on_judged=metrics.judged,
        on_anew=metrics.care.anew,
        from_unchecked=Action(settings.imagegate_from_not_checked),
    )
    _take_steps(settings, life, ports=ports, judging=judging, pointing=pointing, metrics=metrics)
    name = name or new_name("worker")
    leader = Leader(
        leadership=ports.leadership,
        name="care",
        owner=name,
        clock=clock,
        stopping=life.stopping,
    )
    metrics.care.follow(leads=lambda: leader.leads, rate=lambda: freshness.rate)
    care = _care(
        settings,
        ports,
        ledger=ledger,
        rules=rules,
        platforms=platforms,
        metrics=metrics,
        rate=freshness,
    )
    life.watch(leader.run(care), name="lead")
    if ports.cluster is not None:
        inventory = inventory_of(
            settings,
            life,
            cluster=ports.cluster,
            usage=ports.usage,
            leadership=ports.leadership,
            ledger=ledger,
            rules=rules,
            metrics=metrics.inventory,
            owner=name,
        )
        life.watch(inventory.run(), name="inventory")


def _take_steps(
    settings: WorkerSettings,
    life: Lifecycle,
    *,
    ports: WorkerPorts,
    judging: Judging,
    pointing: Pointing,
    metrics: WorkerMetrics,
) -> None:
    """Have `life` watch every lane."""
    clock = SystemClock()
    slots = _slots(settings)
    pause = pause_unless(life.stopping)
    follower = Follower(queue=ports.queue)
    budget = PollBudget(
        polls=ports.polls,
        rate=settings.imagegate_polls,
        clock=clock,
        pause=pause,
        on_poll=metrics.poll,
        on_wait=metrics.waited_for_poll,
    )
    quick = QuickLooks(
        budget=budget,
        clock=clock,
        pause=pause,
        places={lane: slots[lane] // SHARE for lane in (Lane.CHECK, Lane.CHECK_PREWARM)},
    )
    scan = Scan(
        scanner=ports.scanner,
        pointing=pointing,
        judging=judging,
        claims=ports.claims,
        leases=ports.leases,
        follow=follower.follow,
        budget=budget,
        quick=quick,
        clock=clock,
        limits=AnalysisLimits(
            running=settings.imagegate_analysis_limit, waiting=settings.imagegate_waiting_limit
        ),
        places=settings.imagegate_prewarm_analyses,
        on_submit=metrics.submitted,
        on_analysed=metrics.analysed,
        on_put_off=metrics.put_off,
    )
    dispatch = Dispatch(
        scan=scan,
        follower=follower,
        on_taken=lambda step: metrics.taken(step, clock.now()),
        on_step=metrics.step,
    )
    for lane, concurrency in slots.items():
        life.watch(
            ports.queue.consume(lane, dispatch.handle, concurrency=concurrency),
            name=f"consume {lane}",
        )


def _slots(settings: WorkerSettings) -> dict[Lane, int]:
    """Steps at a time by lane."""
    return {
        Lane.RESOLVE: settings.imagegate_slots,
        Lane.ADMISSION: settings.imagegate_slots,
        Lane.CHECK: settings.imagegate_slots,
        Lane.PREWARM: settings.imagegate_prewarm_slots,
        Lane.CHECK_PREWARM: settings.imagegate_prewarm_slots,
    }


def _care(
    settings: WorkerSettings,
    ports: WorkerPorts,
    *,
    ledger: Ledger,
    rules: Callable[[], Rules],
    platforms: JudgedPlatforms,
    metrics: WorkerMetrics,
    rate: Freshness,
) -> Work:
    """What the leader does for all."""
    clock = SystemClock()
    told = metrics.care
    new = NewPlatforms(ledger=ledger, clock=clock, cluster=settings.imagegate_cluster)
    care = Care(
        rules=rules,
        scanner=settings.imagegate_scanner,
        on_survey=(told.surveyed, new.surveyed),
    )
    reconciler = Reconciler(
        claims=ports.claims, queue=ports.queue, clock=clock, on_step=metrics.reconciled
    )
    refresh = Refresh(
        surveyor=Surveyor(
            usage=ports.usage, ledger=ledger, rules=rules, clock=clock, platforms=platforms
        ),
        claims=ports.claims,
        queue=ports.queue,
        probe=ports.policies.all,
        clock=clock,
        rate=lambda: rate.rate,
        heads=settings.imagegate_refresh_heads,
        on_survey=care.surveyed,
        on_left=told.refreshed,
        on_wait=told.waited,
    )
    watch = PolicyWatch(
        policies=ports.policies,
        ledger=ledger,
        questions=care.questions,
        clock=clock,
        on_read=told.policy_read,
        on_change=lambda revision: refresh.hurry(),
        every=settings.imagegate_policy_every,
    )
    return lambda: care.all_of(reconciler.run, refresh.run, watch.run, new.run)
