"""Grype with its own database, asked about an SBOM of what is known of an image.

Grype runs in a process of its own, and a judge reads what it wrote.
"""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import (
    Answer,
    Failed,
    Matched,
    ReadGrype,
    WriteSbom,
    Written,
)
from services.scanner.matching.finding import Matches
from services.scanner.matching.grype_database import read_database
from services.scanner.matching.grype_findings import OtherDatabase
from services.scanner.matching.grype_program import GrypeProgram
from services.scanner.matching.grype_releases import GrypeDatabase
from services.scanner.matching.port import DataGroup, DataState, MatchingFailed
from shared.ports.clock import Clock

LOOK_EVERY = 2.0
"""Seconds in which the database's file is not looked at again."""
LOOK_AGAIN = 15.0
"""The same while there is a problem: what mends it need not change that file."""
OLD = timedelta(days=5)
"""From when on Grype itself would not use a database unless it was told to."""

Signature = tuple[tuple[int, int, int], ...]


class _Found(msgspec.Struct, frozen=True):
    """A look at the database."""

    state: DataState
    signature: Signature
    at: float
    """The clock's monotonic seconds."""
    database: GrypeDatabase | None = None
    built: int = 0


class _Replaced(Exception):
    pass


class GrypeData:
    """`VulnerabilityData` over Grype."""

    def __init__(self, *, grype: GrypeProgram, judges: Judges, clock: Clock) -> None:
        self._grype = grype
        self._judges = judges
        self._clock = clock
        self._found: _Found | None = None
        self._looking = asyncio.Lock()

    async def state(self) -> DataState:
        """Its database's age and groups; `problem` where it has none, or an old one."""
        found = await self._look()
        return self._with_age(found.state)

    async def match(self, facts: bytes) -> Matches:
        """Raises MatchingFailed."""
        try:
            return await self._match(facts)
        except _Replaced:
            self._found = None
        try:
            return await self._match(facts)
        except _Replaced as error:
            raise MatchingFailed(
                "Grype's database was replaced twice while it was asked: ask again"
            ) from error

    async def _match(self, facts: bytes) -> Matches:
        found = await self._look()
        if found.database is None:
            raise MatchingFailed(found.state.problem)
        async with self._grype.folder() as folder:
            sbom = folder / "sbom.json"
            _expect(await self._judges.ask(WriteSbom(facts, str(sbom))), Written)
            answer = await self._grype.scan(sbom, folder)
            read = await self._judges.ask(
                ReadGrype(
                    facts=facts,
                    answer=str(answer),
                    database=found.database,
                    data=found.state.identity,
                    built=found.built,
                )
            )
        if isinstance(read, Failed) and read.problem_type == OtherDatabase.__name__:
            raise _Replaced
        return _expect(read, Matched).matches

    async def _look(self) -> _Found:
        async with self._looking:
            known = self._found
            if known is not None:
                wait = LOOK_EVERY if known.database is not None else LOOK_AGAIN
                if self._clock.monotonic() - known.at < wait:
                    return known
            signature = await asyncio.to_thread(self._signature)
            if known is None or known.database is None or known.signature != signature:
                self._found = await self._look_well(signature)
            else:
                self._found = msgspec.structs.replace(known, at=self._clock.monotonic())
            return self._found

    def _signature(self) -> Signature:
        """Of the program, and of all that lies below its cache folder: they change with it."""
        paths = [self._grype.program, *sorted(self._grype.cache.glob("*/vulnerability.db"))]
        return tuple(_stamp(path) for path in paths)

    async def _look_well(self, signature: Signature) -> _Found:
        now = self._clock.monotonic()
        try:
            status = await self._grype.status()
            if not status.valid or status.built is None:
                raise MatchingFailed(self._how_to_mend(status.error))
            await self._grype.open_database()
            database = await asyncio.to_thread(read_database, Path(status.path))
        except MatchingFailed as error:
            identity = hashlib.sha256(str(error).encode()).hexdigest()
            return _Found(DataState(identity, "grype", None, (), str(error)), signature, now)
        # After it was opened: a newer Grype changes a database that an older one prepared.
        signature = await asyncio.to_thread(self._signature)
        built = int(status.built.timestamp() * 1000)
        identity = hashlib.sha256(
            msgspec.json.encode((status.schema_version, built, signature))
        ).hexdigest()
        state = DataState(identity, "grype", built, _groups(database, built))
        return _Found(state, signature, now, database, built)

    def _how_to_mend(self, said: str) -> str:
        cache = self._grype.cache
        command = f"GRYPE_DB_CACHE_DIR={cache} grype db"
        if "does not exist" in said:
            return (
                f"Grype has no database in {cache}: run `{command} update`, or `{command} import "
                "FILE` where there is no internet"
            )
        return (
            f"Grype's database in {cache} cannot be used ({said or 'no reason given'}): run "
            f"`{command} delete` and `{command} update` (or `{command} import FILE`)"
        )

    def _with_age(self, state: DataState) -> DataState:
        """A problem of its own: an old database is used, and what it does not say is told."""
        if state.as_of is None:
            return state
        built = datetime.fromtimestamp(state.as_of / 1000, UTC)
        age = datetime.fromtimestamp(self._clock.now() / 1000, UTC) - built
        if age <= OLD:
            return state
        return msgspec.structs.replace(
            state,
            problem=(
                f"Grype's database was built {age.days} days ago: run "
                f"`GRYPE_DB_CACHE_DIR={self._grype.cache} grype db update`"
            ),
        )


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _groups(database: GrypeDatabase, built: int) -> tuple[DataGroup, ...]:
    releases = [
        DataGroup(
            name=f"{release.names[-1]}:{release.version}",
            records=release.records,
            as_of=release.as_of or built,
            ended=release.ended,
        )
        for release in database.releases
    ]
    languages = [
        DataGroup(name=one.type, records=one.records, as_of=built) for one in database.ecosystems
    ]
    return (*sorted(releases, key=lambda one: one.name), *languages)


Expected = TypeVar("Expected")


def _expect(answer: Answer, kind: type[Expected]) -> Expected:
    if isinstance(answer, kind):
        return answer
    raise MatchingFailed(
        f"{answer.problem_type}: {answer.details}"
        if isinstance(answer, Failed)
        else type(answer).__name__
    )
