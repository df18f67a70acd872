"""The command line's composition root: whom commands ask, and everything in one process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from services.cli.ring import RingWhenWanted
from services.cli.scans import Scans
from services.cli.settings import CliSettings
from services.console.ops import Ops
from services.scanner.settings import ScannerSettings
from services.scanner.wiring import serve_scanner
from services.webhook.knowledge import Knowledge
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.settings import WebhookSettings
from services.webhook.waiters import Waiters
from services.webhook.wiring import WebhookPorts, WebhookSites, run_webhook
from services.worker.metrics import WorkerMetrics
from services.worker.settings import WorkerSettings
from services.worker.wiring import WorkerPorts, run_worker
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file import load_rules
from shared.adapters.signatures import KeyFiles, ensure_keys, load_ring, load_sealer, new_keys
from shared.domain.errors import QueueUnavailable
from shared.domain.rules import RegistryRule, Rules
from shared.domain.signing import Role
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner
from shared.ports.signing import Unsealer
from shared.ports.steps import StepQueue
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.health import health_app
from shared.runtime.http import Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics

CONNECT = 3.0
"""Seconds that a broker gets before it counts as away."""


class Ports(msgspec.Struct, frozen=True):
    """What the operator's questions stand on."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
    queue: StepQueue
    scanner: Scanner
    resolver: DigestResolver
    unsealer: Unsealer


class Embedded(msgspec.Struct, frozen=True):
    """Everything in one process, answering."""

    webhook: WebhookSites
    worker_health: Bound
    scanner_url: str
    metrics: Metrics
    """The worker's."""
    queue: MemoryQueue
    ops: Ops
    scans: Scans


class EmbeddedSettings(msgspec.Struct, frozen=True):
    """The settings of the parts, and the registry (`host:port`) that speaks plain HTTP."""

    webhook: WebhookSettings
    worker: WorkerSettings
    scanner: ScannerSettings
    insecure_registry: str


def make_keys(folder: Path, *, role: Role) -> KeyFiles:
    """A key pair of `role` in `folder`; raises InvalidSettings when one is there."""
    return new_keys(folder, role=role)


@asynccontextmanager
async def direct_backend(settings: CliSettings) -> AsyncIterator[tuple[Ops, Scans]]:
    """Both halves of a backend on the servers that the settings name."""
    clock = SystemClock()
    rules = load_rules(settings.imagegate_rules) if settings.imagegate_rules else Rules()
    keys = settings.imagegate_keys or settings.state_folder / "keys"
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(RedisLinks(url=settings.redis_url.value))
        queue = await stack.enter_async_context(
            RabbitQueue(settings.amqp_url.value, clock=clock).connect()
        )
        transport = await stack.enter_async_context(
            AnchoreTransport(
                url=settings.anchore_url,
                user=settings.anchore_user,
                password=settings.anchore_password.value,
                ca_file=settings.anchore_ca,
            )
        )
        ports = Ports(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            leases=RedisScanLeases(links=links),
            queue=queue,
            scanner=AnchoreV1(transport=transport, clock=clock),
            resolver=await stack.enter_async_context(
                RegistryClient(rules=lambda: rules, clock=clock)
            ),
            unsealer=RingWhenWanted(lambda: load_ring(keys)),
        )
        # The commands that need the broker say that it is away; `status` shows it as a line.
        with suppress(QueueUnavailable):
            await queue.connected(timeout=CONNECT)
        yield _ops(ports), _scans(ports, rules, scanner_name=settings.imagegate_scanner)


@asynccontextmanager
async def embedded(
    settings: EmbeddedSettings, life: Lifecycle, *, facts: Callable[[], Mapping[str, str]]
) -> AsyncIterator[Embedded]:
    """Webhook, worker, in-process stores and the built-in scanner, until the context ends."""
    clock = SystemClock()
    rules = _embedded_rules(settings)
    metrics = Metrics()
    counted = WorkerMetrics(metrics)
    keys = ensure_keys(settings.worker.imagegate_keys or settings.worker.state_folder / "keys")
    leases = MemoryScanLeases(clock=clock)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(RegistryClient(rules=lambda: rules, clock=clock))
        scanner = await stack.enter_async_context(
            serve_scanner(settings.scanner, registry=registry, clock=clock)
        )
        transport = await stack.enter_async_context(
            AnchoreTransport(
                url=scanner.url,
                user=settings.scanner.imagegate_scanner_user,
                password=settings.scanner.imagegate_scanner_password.value,
                on_call=counted.call,
            )
        )
        queue = MemoryQueue(clock=clock, on_event=counted.event)
        ports = Ports(
            store=MemoryVerdictStore(clock=clock, leases=leases),
            claims=MemoryRequestClaims(clock=clock, leases=leases),
            leases=leases,
            queue=queue,
            scanner=AnchoreV1(transport=transport, clock=clock),
            resolver=registry,
            unsealer=load_ring(keys),
        )
        run_worker(
            settings.worker,
            life,
            ports=WorkerPorts(**msgspec.structs.asdict(ports), sealer=load_sealer(keys)),
            rules=rules,
            metrics=counted,
        )
        worker_health = await stack.enter_async_context(
            serve(
                health_app(
                    ready={"scanner": ports.scanner.info}, metrics=metrics, stopping=life.stopping
                ),
                host=settings.worker.imagegate_health_host,
                port=settings.worker.imagegate_health_port,
            )
        )
        webhook = await stack.enter_async_context(
            run_webhook(
                settings.webhook,
                life,
                ports=WebhookPorts(
                    store=ports.store, claims=ports.claims, queue=queue, unsealer=ports.unsealer
                ),
                rules=rules,
            )
        )
        yield Embedded(
            webhook=webhook,
            worker_health=worker_health,
            scanner_url=scanner.url,
            metrics=metrics,
            queue=queue,
            ops=_ops(ports, facts=facts),
            scans=_scans(ports, rules, scanner_name=settings.webhook.imagegate_scanner),
        )


def _embedded_rules(settings: EmbeddedSettings) -> Rules:
    """The rules file's rules, if there is one, and the show's registry besides."""
    path = settings.webhook.imagegate_rules
    rules = load_rules(path) if path else Rules()
    host = settings.insecure_registry
    allowed = (*rules.allow_registries, host) if rules.allow_registries else ()
    registries = (*rules.registries, RegistryRule(host=host, insecure=True))
    return msgspec.structs.replace(rules, registries=registries, allow_registries=allowed)


def _ops(ports: Ports, *, facts: Callable[[], Mapping[str, str]] = dict) -> Ops:
    return Ops(
        store=ports.store,
        unsealer=ports.unsealer,
        claims=ports.claims,
        leases=ports.leases,
        queue=ports.queue,
        scanner=ports.scanner,
        clock=SystemClock(),
        facts=facts,
    )


def _scans(ports: Ports, rules: Rules, *, scanner_name: str) -> Scans:
    clock = SystemClock()
    requests = Requests(claims=ports.claims, queue=ports.queue, clock=clock)
    cache = NearCache(store=ports.store, unsealer=ports.unsealer, clock=clock)
    knowledge = Knowledge(
        cache=cache, requests=requests, waiters=Waiters(), clock=clock, rules=lambda: rules
    )
    return Scans(
        knowledge=knowledge,
        cache=cache,
        requests=requests,
        resolver=ports.resolver,
        scanner=ports.scanner,
        rules=lambda: rules,
        clock=clock,
        scanner_name=scanner_name,
    )
