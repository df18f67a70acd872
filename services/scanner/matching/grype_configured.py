"""Grype as the settings say: for the server, and for commands that only look."""

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from services.scanner.judging.judges import Judges
from services.scanner.matching.grype import GrypeData
from services.scanner.matching.grype_current import CurrentDatabase
from services.scanner.matching.grype_program import GrypeLimits, GrypeProgram, find_grype
from services.scanner.matching.grype_updates import GrypeUpdates
from services.scanner.matching.port import DataState
from services.scanner.settings import GIB, GrypeSettings
from shared.ports.clock import Clock

MEMORY = 4 * GIB
"""Address space of one Grype. It uses 0.1 GiB for a small image, and Go reserves more than it
uses: with 1 GB it dies at its start (docs/design/scanner-facts.md)."""


async def grype_state(settings: GrypeSettings, *, clock: Clock) -> DataState:
    """Which database Grype has, for `imagegate feeds status`. Raises InvalidSettings without a
    `grype`; what is wrong with the database stands in `problem`."""
    with tempfile.TemporaryDirectory(prefix="imagegate-grype-") as scratch:
        grype = _program(settings, Path(scratch), at_once=1)
        return await CurrentDatabase(grype=grype, clock=clock).state()


@asynccontextmanager
async def open_grype(
    settings: GrypeSettings,
    *,
    judges: Judges,
    clock: Clock,
    scratch: Path,
    at_once: int,
    environ: Mapping[str, str],
    updated: Callable[[str], None] = lambda outcome: None,
) -> AsyncIterator[GrypeData]:
    """`VulnerabilityData`; Grype's database is kept up to date meanwhile where that is wanted, with
    what `environ` says of proxies and mirrors; `updated` hears `done` or `failed` of each look.
    Raises InvalidSettings without a `grype`."""
    grype = _program(settings, scratch, at_once=at_once)
    await grype.clear()
    data = GrypeData(grype=grype, current=CurrentDatabase(grype=grype, clock=clock), judges=judges)
    hours = settings.imagegate_scanner_grype_update_hours
    if not hours:
        yield data
        return
    updates = GrypeUpdates(grype=grype, seconds=hours * 3600, environ=environ, updated=updated)
    async with updates.running():
        yield data


def _program(settings: GrypeSettings, scratch: Path, *, at_once: int) -> GrypeProgram:
    return GrypeProgram(
        program=find_grype(settings.path),
        cache=settings.grype_cache,
        scratch=scratch,
        limits=GrypeLimits(
            seconds=settings.imagegate_scanner_grype_seconds, memory=MEMORY, at_once=at_once
        ),
    )
