"""What a scanner consists of, put together over the ports that it stands on."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec

from services.scanner.analysis.analyses import Analyses
from services.scanner.analysis.analyst import AnalysisLimits, Analyst
from services.scanner.announcing import Announcements
from services.scanner.catalogue import Catalogue
from services.scanner.edge.posting import open_post
from services.scanner.evaluating import Evaluating
from services.scanner.feeds import demonstration
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.state import FeedError
from services.scanner.forgetting import Forgetting, Keep
from services.scanner.judging.judges import Judges, open_judges
from services.scanner.knowledge import Knowledge
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
from services.scanner.store.database import Database, open_database
from shared.domain.errors import InvalidSettings
from shared.ports.clock import Clock
from shared.ports.content import ImageContent
from shared.ports.resolver import DigestResolver
from shared.runtime.settings import environ_of_others
from shared.runtime.tls import client_context

PROGRAM = version("imagegate")


class Registry(DigestResolver, ImageContent, Protocol):
    """What images are resolved and read through."""


class Ground(msgspec.Struct, frozen=True):
    """What every part stands on."""

    database: Database
    judges: Judges
    data: VulnerabilityData
    announcements: Announcements
    metrics: ScannerMetrics
    clock: Clock


class Parts(msgspec.Struct, frozen=True):
    """What answers, and what goes on beside it."""

    analyses: Analyses
    catalogue: Catalogue
    knowledge: Knowledge
    precedence: Precedence
    evaluating: Evaluating
    renewal: Renewal


@asynccontextmanager
async def open_ground(
    settings: ScannerSettings, *, metrics: ScannerMetrics, clock: Clock
) -> AsyncIterator[Ground]:
    """Raises InvalidSettings when the state folder, the feed or grype cannot be had."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.folder))
        judges = await stack.enter_async_context(
            open_judges(
                count=settings.imagegate_scanner_judges,
                seconds=settings.imagegate_scanner_evaluation_seconds,
                replaced=metrics.judge_replaced,
            )
        )
        data = await stack.enter_async_context(
            _open_data(settings, judges=judges, metrics=metrics, clock=clock)
        )
        yield Ground(
            database=database,
            judges=judges,
            data=ReadByProgram(data, version=PROGRAM),
            announcements=Announcements(notices=bool(settings.imagegate_scanner_notify_url)),
            metrics=metrics,
            clock=clock,
        )


def parts_on(ground: Ground, settings: ScannerSettings, *, registry: Registry, syft: Path) -> Parts:
    """The parts; nothing of them runs yet."""
    analyses = Analyses(
        database=ground.database,
        analyst=Analyst(
            content=registry,
            judges=ground.judges,
            syft=syft,
            scratch=settings.folder / "scratch",
            limits=_limits(settings),
        ),
        announcements=ground.announcements,
        metrics=ground.metrics,
        clock=ground.clock,
    )
    knowledge, precedence = Knowledge(database=ground.database, data=ground.data), Precedence()
    evaluating = Evaluating(
        database=ground.database,
        knowledge=knowledge,
        judges=ground.judges,
        announcements=ground.announcements,
        metrics=ground.metrics,
        clock=ground.clock,
    )
    return Parts(
        analyses=analyses,
        catalogue=Catalogue(
            database=ground.database,
            analyses=analyses,
            resolver=registry,
            content=registry,
            clock=ground.clock,
            registry_seconds=settings.imagegate_scanner_registry_seconds,
        ),
        knowledge=knowledge,
        precedence=precedence,
        evaluating=evaluating,
        renewal=Renewal(
            database=ground.database,
            data=ground.data,
            knowledge=knowledge,
            evaluating=evaluating,
            precedence=precedence,
            metrics=ground.metrics,
            width=max(1, settings.imagegate_scanner_judges - 1),
        ),
    )


def works_on(
    ground: Ground, parts: Parts, *, keep: Keep, post: NoticePost | None
) -> dict[str, Coroutine[Any, Any, None]]:
    """What the scanner does by itself, by what the log calls it. `post`: None where nobody is to
    be told."""
    database, metrics, clock = ground.database, ground.metrics, ground.clock
    works = {
        "evaluate anew": parts.renewal.run(),
        "forget": Forgetting(database=database, keep=keep, metrics=metrics, clock=clock).run(),
        "measure": Measuring(
            database=database, data=ground.data, metrics=metrics, clock=clock
        ).run(),
    }
    if post is not None:
        notifying = Notifying(database=database, post=post, metrics=metrics, clock=clock)
        works["notify"] = notifying.run()
    return works


def keep_of(settings: ScannerSettings) -> Keep:
    """How long and how much is kept."""
    return Keep(
        days=settings.imagegate_scanner_keep_days, most=settings.imagegate_scanner_max_store
    )


def open_post_of(settings: ScannerSettings) -> AbstractAsyncContextManager[NoticePost]:
    """Whoever takes notices. Raises InvalidSettings for a CA file that is none."""
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
