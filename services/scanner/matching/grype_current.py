"""Which database Grype has at this moment: looked for again when a file of it changes."""

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec

from services.scanner.matching.grype_database import read_database
from services.scanner.matching.grype_program import GrypeProgram
from services.scanner.matching.grype_releases import GrypeDatabase, Release
from services.scanner.matching.port import DataGroup, DataState, MatchingFailed
from shared.ports.clock import Clock

LOOK_EVERY = 2.0
"""Seconds in which the database's file is not looked at again."""
LOOK_AGAIN = 15.0
"""The same while there is a problem: what mends it need not change that file."""
OLD = timedelta(days=5)
"""From when on Grype itself would not use a database unless it was told to."""

Signature = tuple[tuple[int, int, int], ...]


class Found(msgspec.Struct, frozen=True):
    """What a look at the database found."""

    state: DataState
    signature: Signature
    at: float
    """The clock's monotonic seconds."""
    database: GrypeDatabase | None = None
    """None: it cannot be used, `state.problem` says why."""
    built: int = 0


class CurrentDatabase:
    """Keeps the last look; a new one costs a few runs of Grype, and only one is under way."""

    def __init__(self, *, grype: GrypeProgram, clock: Clock) -> None:
        self._grype = grype
        self._clock = clock
        self._found: Found | None = None
        self._looking = asyncio.Lock()

    async def state(self) -> DataState:
        """Age and groups; `problem` where there is no database, or an old one."""
        return self._with_age((await self.look()).state)

    def forget(self) -> None:
        """It is another one: look well the next time."""
        self._found = None

    async def look(self) -> Found:
        """The database as it is now."""
        async with self._looking:
            known, now = self._found, self._clock.monotonic()
            if known is not None:
                wait = LOOK_AGAIN if known.database is None else LOOK_EVERY
                if now - known.at < wait:
                    return known
            signature = await asyncio.to_thread(self._signature)
            if known is not None and known.database and known.signature == signature:
                self._found = msgspec.structs.replace(known, at=now)
            else:
                self._found = await self._look_well(signature)
            return self._found

    def _signature(self) -> Signature:
        """Of the program and of the database's file."""
        files = sorted(self._grype.cache.glob("*/vulnerability.db"))
        return tuple(_stamp(path) for path in (self._grype.program, *files))

    async def _look_well(self, signature: Signature) -> Found:
        try:
            status = await self._grype.status()
            if not status.valid or status.built is None:
                raise MatchingFailed(self._how_to_mend(status.error))
            await self._grype.open_database()
            database = await asyncio.to_thread(read_database, Path(status.path))
        except MatchingFailed as error:
            identity = hashlib.sha256(str(error).encode()).hexdigest()
            state = DataState(identity, "grype", None, (), str(error))
            return Found(state, signature, self._clock.monotonic())
        # After it was opened: a newer Grype changes a database that an older one prepared.
        signature = await asyncio.to_thread(self._signature)
        built = int(status.built.timestamp() * 1000)
        said = msgspec.json.encode((status.schema_version, built, signature))
        identity = hashlib.sha256(said).hexdigest()
        state = DataState(identity, "grype", built, _groups(database, built))
        return Found(state, signature, self._clock.monotonic(), database, built)

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
        """An old one is used: whether it may be is the policy's word. That it is old is said."""
        if state.as_of is None:
            return state
        age = timedelta(milliseconds=self._clock.now() - state.as_of)
        if age <= OLD:
            return state
        problem = (
            f"Grype's database was built {age.days} days ago: run "
            f"`GRYPE_DB_CACHE_DIR={self._grype.cache} grype db update`"
        )
        return msgspec.structs.replace(state, problem=problem)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _groups(database: GrypeDatabase, built: int) -> tuple[DataGroup, ...]:
    releases = [_group(release, built) for release in database.releases]
    languages = [
        DataGroup(name=one.type, records=one.records, as_of=built) for one in database.ecosystems
    ]
    return (*sorted(releases, key=lambda one: one.name), *languages)


def _group(release: Release, built: int) -> DataGroup:
    name, as_of = f"{release.names[-1]}:{release.version}", min(built, release.captured or built)
    return DataGroup(
        name=name,
        records=release.records,
        as_of=as_of,
        ended=release.ended_before(name, as_of),
    )
