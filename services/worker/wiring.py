"""The worker's composition root: settings in, running lanes out."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from services.worker.metrics import WorkerMetrics
from services.worker.parts import WorkerPorts, run_worker
from services.worker.settings import WorkerSettings
from shared.adapters.anchore.address import server_url
from shared.adapters.anchore.calls import Limits
from shared.adapters.anchore.configured import detection_of, transport_of
from shared.adapters.anchore.detect import DetectedAnchore
from shared.adapters.anchore.either import PoliciesOfEither
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.breaker import Breaker, BreakerState
from shared.adapters.kubernetes.access import api_server
from shared.adapters.kubernetes.cluster import KubernetesCluster
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.leadership import RedisLeadership
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import WORK_LIMIT
from shared.adapters.redis_store.usage import RedisUsage
from shared.adapters.registry.breakers import RegistryBreakers
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file.watching import RulesFile
from shared.adapters.signatures import ensure_keys, load_ring, load_sealer
from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rules
from shared.ports.cluster import Cluster
from shared.ports.policies import Policies
from shared.ports.scanner import Scanner
from shared.runtime.clock import SystemClock
from shared.runtime.health import FirstTry, health_app
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import new_name, pulse_of
from shared.runtime.rules_metrics import RulesMetrics
from shared.runtime.settings import environ_of_others, required

log = logging.getLogger(__name__)

NO_CLUSTER = (
    "IMAGEGATE_INVENTORY is on, and there is no Kubernetes API to ask: run this in a pod of the "
    "cluster whose ServiceAccount may list pods and nodes, or set IMAGEGATE_KUBERNETES_URL, "
    "IMAGEGATE_KUBERNETES_TOKEN_FILE and IMAGEGATE_KUBERNETES_CA"
)

CALL_BUDGET = 14.0
"""Seconds: less than a step's for the scanner, so that it is the call that says what was silent."""


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
            RedisLinks(url=redis_url, ca_file=settings.redis_ca, limit=WORK_LIMIT)
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
            cluster=await stack.enter_async_context(cluster_of(settings)),
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
async def cluster_of(settings: WorkerSettings) -> AsyncIterator[Cluster | None]:
    """The one that the settings name, or whose pod this is; None where nobody is to look at it.

    Raises InvalidSettings where somebody is to, and cannot.
    """
    if settings.imagegate_inventory == "off":
        yield None
        return
    server = api_server(
        url=settings.imagegate_kubernetes_url,
        token_file=settings.imagegate_kubernetes_token_file,
        ca_file=settings.imagegate_kubernetes_ca,
        pod_host=settings.kubernetes_service_host,
        pod_port=settings.kubernetes_service_port,
    )
    wanted = settings.imagegate_inventory == "on" or bool(settings.imagegate_kubernetes_url)
    if server is None:
        if wanted:
            raise InvalidSettings(NO_CLUSTER)
        yield None
        return
    cluster = KubernetesCluster(server=server)
    try:
        cluster.check()
    except InvalidSettings as error:
        if wanted:
            raise
        log.info("nobody looks at pods and nodes from here", extra={"why": str(error)})
        yield None
        return
    async with cluster:
        yield cluster


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
