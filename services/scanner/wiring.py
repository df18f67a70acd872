"""The scanner's composition root: settings in, a server that answers out."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import msgspec

from services.scanner.analysis.analyses import Analyses
from services.scanner.analysis.analyst import AnalysisLimits, Analyst
from services.scanner.analysis.syft import find_syft
from services.scanner.announcing import Announcements
from services.scanner.app import scanner_app
from services.scanner.background import going_on
from services.scanner.bundles.policy_book import PolicyBook
from services.scanner.catalogue import Catalogue
from services.scanner.checks import Checks
from services.scanner.edge.posting import open_post
from services.scanner.evaluating import Evaluating
from services.scanner.feeds import demonstration
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.imports import Imports
from services.scanner.feeds.regular import RegularSync
from services.scanner.feeds.state import FeedError
from services.scanner.feeds.syncing import Syncing, checked_ecosystems
from services.scanner.forgetting import Forgetting, Keep
from services.scanner.judging.judges import Judges, open_judges
from services.scanner.knowledge import Knowledge
from services.scanner.looking import Looking
from services.scanner.matching.by_program import ReadByProgram
from services.scanner.matching.grype_configured import open_grype
from services.scanner.matching.osv import OsvData
from services.scanner.matching.port import VulnerabilityData
from services.scanner.measuring import Measuring
from services.scanner.metrics import ScannerMetrics
from services.scanner.notifying import NoticePost, Notifying
from services.scanner.precedence import Precedence
from services.scanner.renewal import Renewal
from services.scanner.settings import ScannerSettings
from services.scanner.store import images
from services.scanner.store.database import open_database
from shared.adapters.downloads.configured import downloads_of
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file.watching import RulesFile
from shared.domain.errors import InvalidSettings
from shared.ports.clock import Clock
from shared.ports.content import ImageContent
from shared.ports.resolver import DigestResolver
from shared.runtime.clock import SystemClock
from shared.runtime.health import Check, health_app
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.settings import environ_of_others
from shared.runtime.tls import client_context

log = logging.getLogger(__name__)

LESS_URGENT = 10
"""Nice: an import takes a core for minutes, and nobody waits for it."""

DEFAULT_BUNDLE = Path(__file__).parent / "data" / "default-bundle.json"


class Registry(DigestResolver, ImageContent, Protocol):
    """What images are resolved and read through."""


class RunningScanner(msgspec.Struct, frozen=True):
    """A scanner that answers."""

    url: str
    """`http://127.0.0.1:8228`, what ANCHORE_URL wants."""
    ping: Check
    """A real question to the database."""


@asynccontextmanager
async def run_scanner(
    settings: ScannerSettings,
    *,
    registry: Registry,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[RunningScanner]:
    """Serve until the block ends; what is being analysed then goes on at the next start.

    Counted in `metrics`, which whoever runs it shows.

    Raises InvalidSettings when syft, the feed or grype, the state folder or the port cannot be
    had.
    """
    clock = clock or SystemClock()
    counted = ScannerMetrics(metrics or Metrics())
    sync = _regular_sync(settings, metrics=counted, clock=clock)
    syft = await asyncio.to_thread(find_syft, settings.path)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.folder))
        judges = await stack.enter_async_context(
            open_judges(
                count=settings.imagegate_scanner_judges,
                seconds=settings.imagegate_scanner_evaluation_seconds,
                replaced=counted.judge_replaced,
            )
        )
        policies = PolicyBook(database=database, judges=judges, clock=clock)
        await policies.begin(await asyncio.to_thread(DEFAULT_BUNDLE.read_bytes))
        analyst = Analyst(
            content=registry,
            judges=judges,
            syft=syft,
            scratch=settings.folder / "scratch",
            limits=_limits(settings),
        )
        announcements = Announcements(notices=bool(settings.imagegate_scanner_notify_url))
        analyses = Analyses(
            database=database,
            analyst=analyst,
            announcements=announcements,
            metrics=counted,
            clock=clock,
        )
        program = version("imagegate")
        source = await stack.enter_async_context(
            _open_data(settings, judges=judges, metrics=counted, clock=clock)
        )
        data = ReadByProgram(source, version=program)
        catalogue = Catalogue(
            database=database,
            analyses=analyses,
            resolver=registry,
            content=registry,
            clock=clock,
            registry_seconds=settings.imagegate_scanner_registry_seconds,
        )
        knowledge = Knowledge(database=database, data=data)
        precedence = Precedence()
        evaluating = Evaluating(
            database=database,
            knowledge=knowledge,
            judges=judges,
            announcements=announcements,
            metrics=counted,
            clock=clock,
        )
        app = scanner_app(
            catalogue=catalogue,
            checks=Checks(
                catalogue=catalogue,
                database=database,
                evaluating=evaluating,
                precedence=precedence,
            ),
            looking=Looking(
                catalogue=catalogue, knowledge=knowledge, data=data, precedence=precedence
            ),
            policies=policies,
            data=data,
            version=program,
            user=settings.imagegate_scanner_user,
            passwords=settings.passwords,
        )
        await stack.enter_async_context(analyses.working(settings.imagegate_scanner_analyses))
        bound = await stack.enter_async_context(
            serve(
                app,
                host=settings.imagegate_scanner_host,
                port=settings.imagegate_scanner_port,
            )
        )
        renewal = Renewal(
            database=database,
            data=data,
            knowledge=knowledge,
            evaluating=evaluating,
            precedence=precedence,
            metrics=counted,
            width=max(1, settings.imagegate_scanner_judges - 1),
        )
        works = {
            "evaluate anew": renewal.run(),
            "forget": Forgetting(
                database=database, keep=_keep(settings), metrics=counted, clock=clock
            ).run(),
            "measure": Measuring(database=database, data=data, metrics=counted, clock=clock).run(),
        }
        if settings.imagegate_scanner_notify_url:
            post = await stack.enter_async_context(_open_post(settings))
            works["notify"] = Notifying(
                database=database, post=post, metrics=counted, clock=clock
            ).run()
        if sync is not None:
            works["sync"] = sync.run()
        await stack.enter_async_context(going_on(works))
        yield RunningScanner(bound.url, partial(database.run, images.counts))


def _regular_sync(
    settings: ScannerSettings, *, metrics: ScannerMetrics, clock: Clock
) -> RegularSync | None:
    """Raises InvalidSettings for an ecosystem, a URL or a CA file that is none."""
    if not settings.imagegate_scanner_sync:
        return None
    try:
        ecosystems = checked_ecosystems(settings.imagegate_scanner_sync)
    except InvalidSettings as error:
        raise InvalidSettings(f"IMAGEGATE_SCANNER_SYNC: {error}") from error
    syncing = Syncing(
        downloads=downloads_of(
            proxy=settings.imagegate_scanner_sync_proxy.current(),
            ca_file=settings.imagegate_scanner_sync_ca,
            clock=clock,
        ),
        imports=Imports(
            settings.feeds, memory=settings.imagegate_scanner_import_memory, nice=LESS_URGENT
        ),
        clock=clock,
        base=settings.imagegate_scanner_sync_url,
    )
    return RegularSync(
        sync=partial(syncing.sync, ecosystems),
        every=settings.imagegate_scanner_sync_hours * 3600,
        noted=metrics.feed_synced,
    )


def _keep(settings: ScannerSettings) -> Keep:
    return Keep(
        days=settings.imagegate_scanner_keep_days, most=settings.imagegate_scanner_max_store
    )


def _open_post(settings: ScannerSettings) -> AbstractAsyncContextManager[NoticePost]:
    """Raises InvalidSettings for a CA file that is none."""
    ca = settings.imagegate_scanner_notify_ca
    return open_post(
        url=settings.imagegate_scanner_notify_url,
        user=settings.imagegate_scanner_notify_user,
        password=settings.notify_password,
        tls=client_context(ca) if ca else None,
    )


@asynccontextmanager
async def _open_data(
    settings: ScannerSettings,
    *,
    judges: Judges,
    metrics: ScannerMetrics,
    clock: Clock,
) -> AsyncIterator[VulnerabilityData]:
    if settings.imagegate_scanner_vulnerabilities == "osv":
        feeds = await asyncio.to_thread(_feeds, settings.feeds)
        yield OsvData(judges=judges, folder=feeds)
        return
    async with open_grype(
        settings,
        judges=judges,
        clock=clock,
        scratch=settings.folder / "grype-scratch",
        at_once=settings.imagegate_scanner_judges,
        environ=environ_of_others(),
        updated=metrics.grype_updated,
    ) as data:
        yield data


async def serve_scanner(settings: ScannerSettings, life: Lifecycle) -> int:
    """A scanner process, which reads images as the rules file says; its exit code."""
    metrics = Metrics()
    rules = RulesFile(settings.imagegate_rules)
    life.watch(rules.run(), name="watch the rules")
    async with (
        RegistryClient(
            rules=lambda: rules.rules, clock=SystemClock(), helper_environ=environ_of_others()
        ) as registry,
        run_scanner(settings, registry=registry, metrics=metrics) as scanner,
        serve(
            health_app(ready={"store": scanner.ping}, metrics=metrics, stopping=life.stopping),
            host=settings.imagegate_health_host,
            port=settings.imagegate_health_port,
        ) as health,
    ):
        log.info("scanner answers", extra={"url": scanner.url, "health": health.url})
        return await life.until_stopped()


def _feeds(path: Path) -> FeedFolder:
    """The folder of feeds, with one in it. Raises InvalidSettings."""
    folder = FeedFolder(path)
    try:
        demonstration.begin(folder)
    except FeedError as error:
        raise InvalidSettings(str(error)) from error
    return folder


def _limits(settings: ScannerSettings) -> AnalysisLimits:
    return AnalysisLimits(
        image_bytes=settings.imagegate_scanner_max_image,
        pull_seconds=settings.imagegate_scanner_pull_seconds,
        seconds=settings.imagegate_scanner_analysis_seconds,
        memory=settings.imagegate_scanner_max_memory,
        disk=settings.imagegate_scanner_max_disk,
        files=settings.imagegate_scanner_max_files,
    )
