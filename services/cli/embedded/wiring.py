"""The composition root of `imagegate up`: everything in one process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from services.cli.break_glass.desk import Desk
from services.cli.scans import Scans
from services.cli.wiring import ScanTools, scans_on
from services.console.ops import Ops
from services.console.settings import ConsoleSettings
from services.console.wiring import ConsolePorts, ops_of, run_console
from services.intake.settings import IntakeSettings
from services.intake.wiring import IntakePorts, run_intake
from services.scanner.settings import ScannerSettings
from services.scanner.wiring import run_scanner
from services.webhook.book import CurrentBook
from services.webhook.metrics import WebhookMetrics
from services.webhook.parts import WebhookPorts
from services.webhook.settings import WebhookSettings
from services.webhook.wiring import WebhookSites, namespaces_of, run_webhook
from services.worker.metrics import WorkerMetrics
from services.worker.parts import WorkerPorts, run_worker
from services.worker.settings import WorkerSettings
from services.worker.wiring import guarded_transport, registry_breakers
from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.reports import REPORT_LIMITS, AnchoreReports
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.adapters.anchore.v1_reports import V1_REPORTS
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.leadership import MemoryLeadership
from shared.adapters.memory.polls import MemoryPolls
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.memory.usage import MemoryUsage
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file.watching import RulesFile
from shared.adapters.signatures import ensure_all_keys, ensure_keys, load_ring, load_sealer
from shared.domain.rules import RegistryRule, Rules
from shared.ports.policies import Policies
from shared.ports.steps import DeadLetters
from shared.runtime.clock import SystemClock
from shared.runtime.health import health_app
from shared.runtime.http import Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import pulse_of
from shared.runtime.rules_metrics import RulesMetrics
from shared.runtime.settings import environ_of_others


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
    desk: Desk
    policies: Policies
    """Of the built-in scanner."""


class EmbeddedSettings(msgspec.Struct, frozen=True):
    """The settings of the parts, and the registry (`host:port`) that speaks plain HTTP."""

    webhook: WebhookSettings
    worker: WorkerSettings
    scanner: ScannerSettings
    intake: IntakeSettings
    console: ConsoleSettings
    insecure_registry: str


@asynccontextmanager
async def embedded(
    settings: EmbeddedSettings, life: Lifecycle, *, facts: Callable[[], Mapping[str, str]]
) -> AsyncIterator[Embedded]:
    """Every service, in-process stores and the built-in scanner."""
    clock = SystemClock()
    metrics = Metrics()
    of_webhook = WebhookMetrics(Metrics())
    counted = WorkerMetrics(metrics)
    keys = _keys(settings)
    leases = MemoryScanLeases(clock=clock)
    async with AsyncExitStack() as stack:
        namespaces = await stack.enter_async_context(
            namespaces_of(settings.webhook, of_webhook.all)
        )
        book = _book(settings, life, metrics, accept=namespaces.accept)

        def rules() -> Rules:
            return book.rules

        registry = await stack.enter_async_context(
            RegistryClient(
                rules=rules,
                clock=clock,
                helper_environ=environ_of_others(),
                breakers=registry_breakers(rules, counted),
            )
        )
        serving = await stack.enter_async_context(
            run_scanner(settings.scanner, registry=registry, clock=clock, metrics=metrics)
        )
        transport = await stack.enter_async_context(
            guarded_transport(
                url=serving.url,
                user=settings.scanner.imagegate_scanner_user,
                password=next(iter(settings.scanner.passwords()), ""),
                metrics=counted,
            )
        )
        scanner = AnchoreV1(transport=transport, clock=clock)
        policies = AnchorePolicies(transport=transport, dialect=V1_POLICIES)
        queue = MemoryQueue(clock=clock, on_event=counted.event)
        store = MemoryVerdictStore(clock=clock, leases=leases)
        usage = MemoryUsage(clock=clock)
        ports = ConsolePorts(
            store=store,
            claims=MemoryRequestClaims(clock=clock, leases=leases),
            leases=leases,
            queue=queue,
            letters=MemoryDeadLetters(queue=queue, clock=clock),
            decisions=MemoryDecisionLog(clock=clock),
            presence=MemoryPresence(clock=clock),
            exceptions=MemoryExceptionStore(clock=clock, announce=store.announce),
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
                polls=MemoryPolls(clock=clock, under_way=leases.under_way),
                queue=queue,
                scanner=scanner,
                policies=policies,
                usage=usage,
                leadership=MemoryLeadership(clock=clock),
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
                caring=counted.care.caring,
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
                    exceptions=ports.exceptions,
                    usage=usage,
                    namespaces=namespaces,
                ),
                book=book,
                metrics=of_webhook,
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
        asked = await stack.enter_async_context(
            AnchoreTransport(
                url=serving.url,
                user=settings.scanner.imagegate_scanner_user,
                password=next(iter(settings.scanner.passwords()), ""),
                limits=REPORT_LIMITS,
            )
        )
        tools = ScanTools(
            resolver=registry,
            scanner=scanner,
            reports=AnchoreReports(transport=asked, dialect=V1_REPORTS),
            name=settings.webhook.imagegate_scanner,
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
            scans=scans_on(ports, tools, rules),
            policies=policies,
            desk=Desk(
                exceptions=ports.exceptions,
                records=ports.store,
                presence=ports.presence,
                unsealer=ports.unsealer,
                clock=clock,
            ),
        )


def _keys(settings: EmbeddedSettings) -> Path:
    """The folder of the signing keys, which are made where there are none; in a folder that was
    named only the worker's, without which nothing works."""
    named = settings.worker.imagegate_keys
    return ensure_keys(named) if named else ensure_all_keys(settings.worker.state_folder / "keys")


def _book(
    settings: EmbeddedSettings,
    life: Lifecycle,
    metrics: Metrics,
    *,
    accept: Callable[[Rules], None],
) -> CurrentBook:
    """The rules file as it stands, if there is one, and the show's registry besides."""
    host = settings.insecure_registry
    reloads = RulesMetrics(metrics, clock=SystemClock())
    file = RulesFile(settings.webhook.imagegate_rules, accept=accept, on_reload=reloads.reloaded)
    book = CurrentBook(_with_registry(file.rules, host))
    life.watch(
        file.run(lambda rules: book.rules_changed(_with_registry(rules, host))),
        name="watch the rules",
    )
    return book


def _with_registry(rules: Rules, host: str) -> Rules:
    allowed = (*rules.allow_registries, host) if rules.allow_registries else ()
    registries = (*rules.registries, RegistryRule(host=host, insecure=True))
    return msgspec.structs.replace(rules, registries=registries, allow_registries=allowed)
