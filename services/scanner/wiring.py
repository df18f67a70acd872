"""The scanner's composition root: settings in, a server that answers out."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
from aiohttp import web

from services.scanner.analysis.syft import find_syft
from services.scanner.app import scanner_app
from services.scanner.background import going_on
from services.scanner.bundles.policy_book import PolicyBook
from services.scanner.checks import Checks
from services.scanner.feeds.imports import Imports
from services.scanner.feeds.regular import RegularSync
from services.scanner.feeds.syncing import Syncing, checked_ecosystems
from services.scanner.looking import Looking
from services.scanner.metrics import ScannerMetrics
from services.scanner.parts import (
    PROGRAM,
    Ground,
    Parts,
    Registry,
    keep_of,
    open_ground,
    open_post_of,
    parts_on,
    works_on,
)
from services.scanner.settings import ScannerSettings
from services.scanner.store import images
from shared.adapters.downloads.configured import downloads_of
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file.watching import RulesFile
from shared.domain.errors import InvalidSettings
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock
from shared.runtime.health import Check, health_app
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.settings import environ_of_others

log = logging.getLogger(__name__)

LESS_URGENT = 10
"""Nice: an import takes a core for minutes, and nobody waits for it."""

DEFAULT_BUNDLE = Path(__file__).parent / "data" / "default-bundle.json"


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
        ground = await stack.enter_async_context(
            open_ground(settings, metrics=counted, clock=clock)
        )
        policies = PolicyBook(database=ground.database, judges=ground.judges, clock=clock)
        await policies.begin(await asyncio.to_thread(DEFAULT_BUNDLE.read_bytes))
        parts = parts_on(ground, settings, registry=registry, syft=syft)
        post = (
            await stack.enter_async_context(open_post_of(settings))
            if settings.imagegate_scanner_notify_url
            else None
        )
        analysing = parts.analyses.working(settings.imagegate_scanner_analyses)
        await stack.enter_async_context(analysing)
        bound = await stack.enter_async_context(
            serve(
                _app(ground, parts, policies, settings),
                host=settings.imagegate_scanner_host,
                port=settings.imagegate_scanner_port,
            )
        )
        works = works_on(ground, parts, keep=keep_of(settings), post=post)
        if sync is not None:
            works["sync"] = sync.run()
        await stack.enter_async_context(going_on(works))
        yield RunningScanner(bound.url, partial(ground.database.run, images.counts))


def _app(
    ground: Ground, parts: Parts, policies: PolicyBook, settings: ScannerSettings
) -> web.Application:
    return scanner_app(
        catalogue=parts.catalogue,
        checks=Checks(
            catalogue=parts.catalogue,
            database=ground.database,
            evaluating=parts.evaluating,
            precedence=parts.precedence,
        ),
        looking=Looking(
            catalogue=parts.catalogue,
            knowledge=parts.knowledge,
            data=ground.data,
            precedence=parts.precedence,
        ),
        policies=policies,
        data=ground.data,
        version=PROGRAM,
        user=settings.imagegate_scanner_user,
        passwords=settings.passwords,
    )


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
