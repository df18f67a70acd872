"""The command line's composition root: the servers that commands ask."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from services.cli.local.wiring import platforms_of, rules_of
from services.cli.ring import RingWhenWanted
from services.cli.scans import Scans
from services.cli.settings import CliSettings
from services.console.ops import Ops
from services.console.records import Records
from services.console.wiring import ConsolePorts, anchore_of, ops_of, ports_on
from services.webhook.knowledge import Knowledge
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.terms import Terms
from services.webhook.waiters import Waiters
from shared.adapters.anchore.configured import detection_of, transport_of
from shared.adapters.anchore.either import ReportsOfEither
from shared.adapters.anchore.reports import REPORT_LIMITS
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import WORK_LIMIT
from shared.adapters.registry.client import RegistryClient
from shared.adapters.signatures import load_ring
from shared.domain.platforms import PlatformTerms
from shared.domain.rules import Rules
from shared.ports.reports import ImageReports
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner
from shared.ports.steps import DeadLetters
from shared.runtime.clock import SystemClock
from shared.runtime.settings import environ_of_others

CONNECT = 3.0
"""Seconds that a broker gets before it counts as away."""


class ScanTools(msgspec.Struct, frozen=True):
    """What a scan needs beside what is looked at."""

    resolver: DigestResolver
    scanner: Scanner
    reports: ImageReports
    name: str
    """What questions call the scanner."""
    platforms: PlatformTerms = PlatformTerms()
    """Those that count where the rules do not say."""


@asynccontextmanager
async def direct_ops(settings: CliSettings) -> AsyncIterator[Ops]:
    """The operator's questions to the servers that the settings name."""
    async with _servers(settings) as ports:
        yield ops_of(ports)


@asynccontextmanager
async def direct_records(settings: CliSettings) -> AsyncIterator[Records]:
    """What the Redis that the settings name remembers; RabbitMQ is not needed."""
    async with RedisLinks(
        url=settings.redis_url.value, ca_file=settings.redis_ca, limit=WORK_LIMIT
    ) as links:
        yield Records(
            store=RedisVerdictStore(links=links),
            decisions=RedisDecisionLog(links=links),
            unsealer=RingWhenWanted(lambda: load_ring(settings.ring_folder)),
            clock=SystemClock(),
        )


@asynccontextmanager
async def direct_letters(settings: CliSettings) -> AsyncIterator[tuple[Ops, DeadLetters]]:
    """The same, and what ends dead letters."""
    async with _servers(settings) as ports:
        yield ops_of(ports), ports.letters


@asynccontextmanager
async def direct_scans(settings: CliSettings) -> AsyncIterator[tuple[Ops, Scans]]:
    """The same, and what has images scanned: needs ANCHORE_URL."""
    rules = rules_of(settings)
    async with (
        _servers(settings) as ports,
        RegistryClient(
            rules=lambda: rules, clock=SystemClock(), helper_environ=environ_of_others()
        ) as registry,
        anchore_of(settings) as scanner,
        transport_of(settings, clock=SystemClock(), limits=REPORT_LIMITS) as transport,
    ):
        detection = detection_of(settings, transport)
        tools = ScanTools(
            resolver=registry,
            scanner=scanner,
            reports=ReportsOfEither(detection=detection, transport=transport),
            name=settings.imagegate_scanner,
            platforms=platforms_of(settings),
        )
        yield ops_of(ports), scans_on(ports, tools, lambda: rules)


@asynccontextmanager
async def _servers(settings: CliSettings) -> AsyncIterator[ConsolePorts]:
    keys = settings.imagegate_keys or settings.state_folder / "keys"
    async with AsyncExitStack() as stack:
        scanner: Scanner | None = None
        if settings.anchore_url:
            scanner = await stack.enter_async_context(anchore_of(settings))
        # The commands that need the broker say that it is away; `status` shows it as a line.
        yield await stack.enter_async_context(
            ports_on(
                redis_url=settings.redis_url.value,
                redis_ca=settings.redis_ca,
                amqp_url=settings.amqp_url.value,
                unsealer=RingWhenWanted(lambda: load_ring(keys)),
                scanner=scanner,
                patience=CONNECT,
            )
        )


def scans_on(ports: ConsolePorts, tools: ScanTools, rules: Callable[[], Rules]) -> Scans:
    """What has images scanned, on these ports."""
    clock = SystemClock()
    requests = Requests(claims=ports.claims, queue=ports.queue, clock=clock)
    cache = NearCache(store=ports.store, unsealer=ports.unsealer, clock=clock)
    knowledge = Knowledge(
        cache=cache,
        requests=requests,
        waiters=Waiters(),
        clock=clock,
        rules=rules,
        terms=Terms(platforms=tools.platforms),
    )
    return Scans(
        knowledge=knowledge,
        cache=cache,
        requests=requests,
        resolver=tools.resolver,
        scanner=tools.scanner,
        reports=tools.reports,
        rules=rules,
        clock=clock,
        scanner_name=tools.name,
        platforms=tools.platforms,
    )
