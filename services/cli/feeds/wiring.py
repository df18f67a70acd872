"""The feed of the scanner on this machine, where its records come from, and a running server's."""

from services.cli.settings import CliSettings
from services.scanner.feeds.imports import Imports
from services.scanner.feeds.syncing import Syncing
from services.scanner.matching.grype_configured import grype_state
from services.scanner.matching.port import DataState
from services.scanner.settings import FeedSettings
from shared.adapters.anchore.configured import detection_of, transport_of
from shared.adapters.anchore.either import ReportsOfEither
from shared.adapters.downloads.configured import downloads_of
from shared.domain.image_report import DataGroup
from shared.runtime.clock import SystemClock


def imports_of(settings: FeedSettings) -> Imports:
    """Into the folder that the settings name."""
    return Imports(settings.feeds, memory=settings.imagegate_scanner_import_memory)


def syncing_of(settings: FeedSettings) -> Syncing:
    """Raises InvalidSettings."""
    clock = SystemClock()
    return Syncing(
        downloads=downloads_of(
            proxy=settings.imagegate_scanner_sync_proxy.current(),
            ca_file=settings.imagegate_scanner_sync_ca,
            clock=clock,
        ),
        imports=imports_of(settings),
        clock=clock,
        base=settings.imagegate_scanner_sync_url,
    )


async def data_of_server(settings: CliSettings) -> tuple[DataGroup, ...]:
    """What the server that ANCHORE_URL names knows of. Raises StepFailure, InvalidSettings."""
    async with transport_of(settings, clock=SystemClock()) as transport:
        detection = detection_of(settings, transport)
        return await ReportsOfEither(detection=detection, transport=transport).data()


async def data_of_grype(settings: FeedSettings) -> DataState:
    """Of the database that the `grype` on PATH has. Raises InvalidSettings without one."""
    return await grype_state(settings, clock=SystemClock())
