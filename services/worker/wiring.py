"""The worker's composition root: settings in, running lanes out."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from services.worker.budget import PollBudget
from services.worker.care import Care
from services.worker.dispatch import Dispatch, Follower
from services.worker.freshness import Freshness
from services.worker.judging import Judging
from services.worker.leader import Leader, Work
from services.worker.ledger import Ledger
from services.worker.looking import AnalysisLimits
from services.worker.metrics import WorkerMetrics
from services.worker.pausing import pause_unless
from services.worker.pointing import Pointing
from services.worker.policy_watch import PolicyWatch
from services.worker.quick import SHARE, QuickLooks
from services.worker.reconcile import Reconciler
from services.worker.refresh import Refresh
from services.worker.scan import Scan
from services.worker.settings import WorkerSettings
from services.worker.survey import Surveyor
from shared.adapters.anchore.address import server_url
from shared.adapters.anchore.calls import Limits
from shared.adapters.anchore.configured import detection_of, transport_of
from shared.adapters.anchore.detect import DetectedAnchore
from shared.adapters.anchore.either import PoliciesOfEither
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.breaker import Breaker, BreakerState
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.leadership import RedisLeadership
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.usage import RedisUsage
from shared.adapters.registry.breakers import RegistryBreakers
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file.watching import RulesFile
from shared.adapters.signatures import ensure_keys, load_ring, load_sealer
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.domain.verdict import Action
from shared.ports.claims import RequestClaims, ScanLeases
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
from shared.runtime.health import FirstTry, health_app
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import new_name, pulse_of
from shared.runtime.rules_metrics import RulesMetrics
from shared.runtime.settings import environ_of_others, required

log = logging.getLogger(__name__)

CALL_BUDGET = 14.0
"""Seconds: less than a step's for the scanner, so that it is the call that says what was silent."""


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
    follower = Follower(queue=ports.queue)
    slots = {
        Lane.RESOLVE: settings.imagegate_slots,
        Lane.ADMISSION: settings.imagegate_slots,
        Lane.CHECK: settings.imagegate_slots,
        Lane.PREWARM: settings.imagegate_prewarm_slots,
        Lane.CHECK_PREWARM: settings.imagegate_prewarm_slots,
    }
    pause = pause_unless(life.stopping)
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
    ledger = Ledger(store=ports.store, sealer=ports.sealer, unsealer=ports.unsealer, clock=clock)
    freshness = Freshness(usage=ports.usage, clock=clock, most=settings.imagegate_refresh_rate)
    scan = Scan(
        scanner=ports.scanner,
        pointing=Pointing(resolver=ports.resolver, ledger=ledger, rules=rules, clock=clock),
        judging=Judging(
            scanner=ports.scanner,
            ledger=ledger,
            clock=clock,
            freshness=freshness,
            on_verdict=metrics.verdict,
            on_judged=metrics.judged,
            on_anew=metrics.care.anew,
            from_unchecked=Action(settings.imagegate_from_not_checked),
        ),
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
    leader = Leader(
        leadership=ports.leadership,
        name="care",
        owner=name or new_name("worker"),
        clock=clock,
        stopping=life.stopping,
    )
    metrics.care.follow(leads=lambda: leader.leads, rate=lambda: freshness.rate)
    care = _care(settings, ports, ledger=ledger, rules=rules, metrics=metrics, rate=freshness)
    life.watch(leader.run(care), name="lead")


def _care(
    settings: WorkerSettings,
    ports: WorkerPorts,
    *,
    ledger: Ledger,
    rules: Callable[[], Rules],
    metrics: WorkerMetrics,
    rate: Freshness,
) -> Work:
    """What the leader does for all."""
    clock = SystemClock()
    told = metrics.care
    care = Care(rules=rules, scanner=settings.imagegate_scanner, on_survey=told.surveyed)
    reconciler = Reconciler(
        claims=ports.claims, queue=ports.queue, clock=clock, on_step=metrics.reconciled
    )
    refresh = Refresh(
        surveyor=Surveyor(usage=ports.usage, ledger=ledger, rules=rules, clock=clock),
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
    return lambda: care.all_of(reconciler.run, refresh.run, watch.run)


async def serve_worker(settings: WorkerSettings, life: Lifecycle) -> int:
    """A worker process on Redis, RabbitMQ and Anchore; its exit code."""
    redis_url = required(settings.redis_url.value, "REDIS_URL", "redis://localhost:6379")
    amqp_url = required(settings.amqp_url.value, "AMQP_URL", "amqp://localhost:5672")
    clock = SystemClock()
    registry = Metrics()
    reloads = RulesMetrics(registry, clock=clock)
    rules = RulesFile(settings.imagegate_rules, on_reload=reloads.reloaded)
    life.watch(rules.run(), name="watch the rules")
    metrics = WorkerMetrics(registry)
    keys = settings.imagegate_keys or ensure_keys(settings.state_folder / "keys")
    name = new_name("worker")
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(
            RedisLinks(url=redis_url, ca_file=settings.redis_ca)
        )
        queue = RabbitQueue(amqp_url, clock=clock, on_event=metrics.event)
        await stack.enter_async_context(queue.connect())
        scanner, policies = await stack.enter_async_context(anchore(settings, metrics))
        ports = WorkerPorts(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            leases=RedisScanLeases(links=links),
            queue=queue,
            scanner=scanner,
            policies=policies,
            usage=RedisUsage(links=links),
            leadership=RedisLeadership(links=links),
            polls=RedisPolls(links=links),
            resolver=await stack.enter_async_context(
                RegistryClient(
                    rules=lambda: rules.rules,
                    clock=clock,
                    helper_environ=environ_of_others(),
                    breakers=registry_breakers(lambda: rules.rules, metrics),
                )
            ),
            sealer=load_sealer(keys),
            unsealer=load_ring(keys),
        )
        checks = {
            "store": ports.store.ping,
            "queue": ports.queue.ping,
            "anchore": ports.scanner.info,
        }
        health = await stack.enter_async_context(
            serve(
                health_app(ready=checks, metrics=registry, stopping=life.stopping),
                host=settings.imagegate_health_host,
                port=settings.imagegate_health_port,
            )
        )
        run_worker(
            settings, life, ports=ports, rules=lambda: rules.rules, metrics=metrics, name=name
        )
        # Not before: the connection that steps come by is made when they are wanted.
        await FirstTry(checks).once()
        await stack.enter_async_context(
            pulse_of(
                service="worker",
                name=name,
                presence=RedisPresence(links=links),
                checks=checks,
                metrics=registry,
                life=life,
                carried=queue.carried,
                caring=metrics.care.caring,
            )
        )
        log.info("worker takes steps", extra={"health": health.url})
        return await life.until_stopped(drain=lambda seconds: ports.queue.drain(timeout=seconds))


@asynccontextmanager
async def anchore(
    settings: WorkerSettings, metrics: WorkerMetrics
) -> AsyncIterator[tuple[Scanner, Policies]]:
    """The Anchore server that the settings name."""
    url = required(settings.anchore_url, "ANCHORE_URL", "http://localhost:8228")
    clock = SystemClock()
    transport = transport_of(
        settings,
        clock=clock,
        limits=Limits(total=CALL_BUDGET, calls=settings.imagegate_anchore_calls),
        breaker=anchore_breaker(url, metrics),
        on_call=metrics.call,
        on_fault=metrics.fault,
    )
    async with transport:
        detection = detection_of(settings, transport)
        yield (
            DetectedAnchore(detection=detection, transport=transport, clock=clock),
            PoliciesOfEither(detection=detection, transport=transport),
        )


def guarded_transport(
    *, url: str, user: str, password: str, metrics: WorkerMetrics
) -> AnchoreTransport:
    """The way of a worker's steps to a scanner of our own: behind a breaker, counted."""
    return AnchoreTransport(
        url=url,
        user=user,
        password=password,
        limits=Limits(total=CALL_BUDGET),
        breaker=anchore_breaker(url, metrics),
        on_call=metrics.call,
        on_fault=metrics.fault,
    )


def registry_breakers(rules: Callable[[], Rules], metrics: WorkerMetrics) -> RegistryBreakers:
    """What leaves registries alone while they are down, and is shown."""
    breakers = RegistryBreakers(rules=rules, clock=SystemClock())
    metrics.registries(breakers.down)
    return breakers


def anchore_breaker(url: str, metrics: WorkerMetrics) -> Breaker:
    """What leaves the server alone while it is down, and is shown."""
    breaker = Breaker(what=f"Anchore at {server_url(url)}", clock=SystemClock())
    metrics.breaker(tuple(BreakerState), lambda: breaker.state)
    return breaker
