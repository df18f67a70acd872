"""The command line's composition root: whom commands ask, and everything in one process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from services.cli.ring import RingWhenWanted
from services.cli.scans import Scans
from services.cli.settings import CliSettings
from services.console.ops import Ops
from services.console.settings import ConsoleSettings
from services.console.wiring import ConsolePorts, ops_of, ports_on, run_console
from services.intake.settings import IntakeSettings
from services.intake.wiring import IntakePorts, run_intake
from services.scanner.settings import ScannerSettings
from services.scanner.wiring import serve_scanner
from services.webhook.knowledge import Knowledge
from services.webhook.metrics import WebhookMetrics
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.settings import WebhookSettings
from services.webhook.waiters import Waiters
from services.webhook.wiring import WebhookPorts, WebhookSites, run_webhook
from services.worker.metrics import WorkerMetrics
from services.worker.settings import WorkerSettings
from services.worker.wiring import WorkerPorts, guarded_transport, run_worker
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file import load_rules
from shared.adapters.signatures import KeyFiles, ensure_keys, load_ring, load_sealer, new_keys
from shared.domain.rules import RegistryRule, Rules
from shared.domain.signing import Role
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner
from shared.ports.steps import DeadLetters
from shared.runtime.clock import SystemClock
from shared.runtime.health import health_app
from shared.runtime.http import Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import pulse_of

CONNECT = 3.0
"""Seconds that a broker gets before it counts as away."""


class ScanTools(msgspec.Struct, frozen=True):
    """What a scan needs beside what is looked at."""

    resolver: DigestResolver
    scanner: Scanner
    name: str
    """What questions call the scanner."""


class Embedded(msgspec.Struct, frozen=True):
    """Everything in one process, answering."""

    webhook: WebhookSites
    intake: Bound
    console: Bound
    worker_health: Bound
    scanner_url: str
    metrics: Metrics
    """Of all but the webhook."""
    queue: MemoryQueue
    letters: DeadLetters
    ops: Ops
    scans: Scans


class EmbeddedSettings(msgspec.Struct, frozen=True):
    """The settings of the parts, and the registry (`host:port`) that speaks plain HTTP."""

    webhook: WebhookSettings
    worker: WorkerSettings
    scanner: ScannerSettings
    intake: IntakeSettings
    console: ConsoleSettings
    insecure_registry: str


def make_keys(folder: Path, *, role: Role) -> KeyFiles:
    """A key pair of `role` in `folder`; raises InvalidSettings when one is there."""
    return new_keys(folder, role=role)


@asynccontextmanager
async def direct_ops(settings: CliSettings) -> AsyncIterator[Ops]:
    """The operator's questions to the servers that the settings name."""
    async with _servers(settings) as ports:
        yield ops_of(ports)


@asynccontextmanager
async def direct_letters(settings: CliSettings) -> AsyncIterator[tuple[Ops, DeadLetters]]:
    """The same, and what ends dead letters."""
    async with _servers(settings) as ports:
        yield ops_of(ports), ports.letters


@asynccontextmanager
async def direct_scans(settings: CliSettings) -> AsyncIterator[tuple[Ops, Scans]]:
    """The same, and what has images scanned: needs ANCHORE_URL."""
    rules = load_rules(settings.imagegate_rules) if settings.imagegate_rules else Rules()
    async with (
        _servers(settings) as ports,
        RegistryClient(rules=lambda: rules, clock=SystemClock()) as registry,
        _anchore(settings) as scanner,
    ):
        tools = ScanTools(resolver=registry, scanner=scanner, name=settings.imagegate_scanner)
        yield ops_of(ports), _scans(ports, tools, rules)


@asynccontextmanager
async def _servers(settings: CliSettings) -> AsyncIterator[ConsolePorts]:
    keys = settings.imagegate_keys or settings.state_folder / "keys"
    async with AsyncExitStack() as stack:
        scanner: Scanner | None = None
        if settings.anchore_url:
            scanner = await stack.enter_async_context(_anchore(settings))
        # The commands that need the broker say that it is away; `status` shows it as a line.
        yield await stack.enter_async_context(
            ports_on(
                redis_url=settings.redis_url.value,
                amqp_url=settings.amqp_url.value,
                unsealer=RingWhenWanted(lambda: load_ring(keys)),
                scanner=scanner,
                patience=CONNECT,
            )
        )


@asynccontextmanager
async def _anchore(settings: CliSettings) -> AsyncIterator[AnchoreV1]:
    transport = AnchoreTransport(
        url=settings.anchore_url,
        user=settings.anchore_user,
        password=settings.anchore_password.value,
        ca_file=settings.anchore_ca,
    )
    async with transport:
        yield AnchoreV1(transport=transport, clock=SystemClock())


@asynccontextmanager
async def embedded(
    settings: EmbeddedSettings, life: Lifecycle, *, facts: Callable[[], Mapping[str, str]]
) -> AsyncIterator[Embedded]:
    """Every service, in-process stores and the built-in scanner."""
    clock = SystemClock()
    rules = _embedded_rules(settings)
    metrics = Metrics()
    counted = WorkerMetrics(metrics)
    keys = ensure_keys(settings.worker.imagegate_keys or settings.worker.state_folder / "keys")
    leases = MemoryScanLeases(clock=clock)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(RegistryClient(rules=lambda: rules, clock=clock))
        serving = await stack.enter_async_context(
            serve_scanner(settings.scanner, registry=registry, clock=clock)
        )
        transport = await stack.enter_async_context(
            guarded_transport(
                url=serving.url,
                user=settings.scanner.imagegate_scanner_user,
                password=settings.scanner.imagegate_scanner_password.value,
                metrics=counted,
            )
        )
        scanner = AnchoreV1(transport=transport, clock=clock)
        queue = MemoryQueue(clock=clock, on_event=counted.event)
        ports = ConsolePorts(
            store=MemoryVerdictStore(clock=clock, leases=leases),
            claims=MemoryRequestClaims(clock=clock, leases=leases),
            leases=leases,
            queue=queue,
            letters=MemoryDeadLetters(queue=queue, clock=clock),
            decisions=MemoryDecisionLog(clock=clock),
            presence=MemoryPresence(clock=clock),
            unsealer=load_ring(keys),
            scanner=scanner,
        )
        run_worker(
            settings.worker,
            life,
            ports=WorkerPorts(
                store=ports.store,
                claims=ports.claims,
                leases=leases,
                queue=queue,
                scanner=scanner,
                resolver=registry,
                sealer=load_sealer(keys),
                unsealer=ports.unsealer,
            ),
            rules=rules,
            metrics=counted,
        )
        await stack.enter_async_context(
            pulse_of(
                service="worker",
                presence=ports.presence,
                checks={"store": ports.store.ping, "queue": queue.ping},
                metrics=metrics,
                life=life,
                carried=queue.carried,
            )
        )
        worker_health = await stack.enter_async_context(
            serve(
                health_app(
                    ready={"scanner": scanner.info}, metrics=metrics, stopping=life.stopping
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
                    store=ports.store,
                    claims=ports.claims,
                    queue=queue,
                    unsealer=ports.unsealer,
                    decisions=ports.decisions,
                    presence=ports.presence,
                ),
                rules=rules,
                metrics=WebhookMetrics(Metrics()),
            )
        )
        intake = await stack.enter_async_context(
            run_intake(
                settings.intake,
                life,
                ports=IntakePorts(claims=ports.claims, queue=queue, store_ping=ports.store.ping),
                rules=rules,
                metrics=metrics,
                health=False,
            )
        )
        ops = ops_of(ports, facts=facts)
        console = await stack.enter_async_context(
            run_console(settings.console, life, ops=ops, metrics=metrics)
        )
        tools = ScanTools(
            resolver=registry, scanner=scanner, name=settings.webhook.imagegate_scanner
        )
        yield Embedded(
            webhook=webhook,
            intake=intake.events,
            console=console,
            worker_health=worker_health,
            scanner_url=serving.url,
            metrics=metrics,
            queue=queue,
            letters=ports.letters,
            ops=ops,
            scans=_scans(ports, tools, rules),
        )


def _embedded_rules(settings: EmbeddedSettings) -> Rules:
    """The rules file's rules, if there is one, and the show's registry besides."""
    path = settings.webhook.imagegate_rules
    rules = load_rules(path) if path else Rules()
    host = settings.insecure_registry
    allowed = (*rules.allow_registries, host) if rules.allow_registries else ()
    registries = (*rules.registries, RegistryRule(host=host, insecure=True))
    return msgspec.structs.replace(rules, registries=registries, allow_registries=allowed)


def _scans(ports: ConsolePorts, tools: ScanTools, rules: Rules) -> Scans:
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
        resolver=tools.resolver,
        scanner=tools.scanner,
        rules=lambda: rules,
        clock=clock,
        scanner_name=tools.name,
    )
