"""Grype as vulnerability data: a program that may hang, die and flood, and a database that is
missing, broken, old or another one all of a sudden."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.scanner.judging.judges import Judges, open_judges
from services.scanner.matching.finding import Matches
from services.scanner.matching.grype import GrypeData
from services.scanner.matching.grype_current import LOOK_AGAIN, LOOK_EVERY, CurrentDatabase
from services.scanner.matching.grype_program import GrypeLimits, GrypeProgram, find_grype
from services.scanner.matching.port import MatchingFailed
from shared.domain.errors import InvalidSettings
from tests.fakes.clock import FakeClock
from tests.fakes.grype import FakeGrype, facts_of, make_database
from tests.unit.scanner.grype.samples import BUILT
from tests.waiting import eventually

GIB = 1024**3
HOUR = 3_600_000
FACTS = msgspec.json.encode(facts_of("debian-12"))


class World:
    """A fake Grype, its cache folder, and the data over it."""

    def __init__(self, folder: Path, judges: Judges, *, seconds: float = 60.0, at_once: int = 2):
        self.fake = FakeGrype(folder / "bin")
        self.cache = folder / "cache"
        self.scratch = folder / "scratch"
        self.clock = FakeClock(now=BUILT + HOUR)
        self.grype = GrypeProgram(
            program=find_grype(str(self.fake.folder)),
            cache=self.cache,
            scratch=self.scratch,
            limits=GrypeLimits(seconds=seconds, memory=4 * GIB, at_once=at_once),
        )
        current = CurrentDatabase(grype=self.grype, clock=self.clock)
        self.data = GrypeData(grype=self.grype, current=current, judges=judges)

    async def match(self, image: str = "debian-12") -> Matches:
        return (await self.data.match(msgspec.json.encode(facts_of(image)))).read()

    async def failure(self) -> str:
        with pytest.raises(MatchingFailed) as failed:
            await self.data.match(FACTS)
        return str(failed.value)

    def looked(self) -> int:
        return sum(one["arguments"][:2] == ["db", "status"] for one in self.fake.runs)


@pytest.fixture
async def judges() -> AsyncIterator[Judges]:
    async with open_judges(count=1, seconds=60.0) as opened:
        yield opened


@pytest.fixture
async def world(tmp_path: Path, judges: Judges) -> World:
    made = World(tmp_path, judges)
    make_database(made.cache)
    await made.grype.clear()
    return made


async def test_an_image_is_matched_and_nothing_of_the_run_is_left(world: World) -> None:
    matches = await world.match()
    assert {one.id for one in matches.findings} >= {"CVE-2024-45491", "CVE-2026-5450"}
    assert matches.data == (await world.data.state()).identity
    assert matches.as_of == BUILT - 30 * HOUR, "when Debian's records were taken"
    assert list(world.scratch.iterdir()) == []


async def test_its_environment_holds_nothing_of_ours(world: World) -> None:
    await world.match()
    (scan,) = [one for one in world.fake.runs if one["arguments"][0].startswith("sbom:")]
    environ = scan["environ"]
    folder = environ["HOME"]
    assert folder.startswith(str(world.scratch))
    environ = {name: text for name, text in environ.items() if name != "LC_CTYPE"}  # Python's own
    assert environ == {
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_DB_CACHE_DIR": str(world.cache),
        "GRYPE_DB_VALIDATE_AGE": "false",
        "GRYPE_DB_VALIDATE_BY_HASH_ON_START": "false",
        "HOME": folder,
        "TMPDIR": folder,
        "PATH": os.defpath,
    }


async def test_the_state_names_age_releases_and_languages(world: World) -> None:
    state = await world.data.state()
    assert (state.source, state.as_of, state.problem) == ("grype", BUILT, "")
    assert [(one.name, one.records, one.ended) for one in state.groups] == [
        ("alpine:3.20", 1, "2026-04-01"),
        ("debian:12", 8, ""),
        ("debian:9", 1, "2022-07-01"),
        ("rhel:9", 3, ""),
        ("npm", 1, ""),
        ("python", 1, ""),
    ]


async def test_grype_is_asked_for_its_database_once_while_the_file_stays(world: World) -> None:
    for _ in range(5):
        await world.data.state()
        await world.match()
        world.clock.advance(int(LOOK_EVERY * 1000) + 1)
    assert world.looked() == 1


async def test_another_database_has_another_identity(world: World) -> None:
    before = await world.data.state()
    make_database(world.cache, "INSERT INTO packages VALUES(99, 'gem', 'rails');")
    assert (await world.data.state()).identity == before.identity, "not looked at again yet"
    world.clock.advance(int(LOOK_EVERY * 1000) + 1)
    assert (await world.data.state()).identity != before.identity
    assert world.looked() == 2


async def test_another_grype_makes_another_identity(world: World) -> None:
    before = await world.data.state()
    program = world.fake.folder / "grype"
    program.write_text(program.read_text() + "\n# newer\n")
    world.clock.advance(int(LOOK_EVERY * 1000) + 1)
    assert (await world.data.state()).identity != before.identity


async def test_a_missing_database_fails_each_check_and_says_what_to_do(world: World) -> None:
    shutil.rmtree(world.cache)
    state = await world.data.state()
    assert (state.as_of, state.groups) == (None, ())
    assert state.problem == (
        f"Grype has no database in {world.cache}: run `GRYPE_DB_CACHE_DIR={world.cache} grype db "
        "update`, or `GRYPE_DB_CACHE_DIR="
        f"{world.cache} grype db import FILE` where there is no internet"
    )
    assert await world.failure() == state.problem
    assert world.fake.scans() == 0


async def test_a_database_that_was_brought_is_found_soon(world: World) -> None:
    shutil.rmtree(world.cache)
    assert (await world.data.state()).problem
    make_database(world.cache)
    world.clock.advance(int(LOOK_AGAIN * 1000) + 1)
    assert not (await world.data.state()).problem
    assert (await world.match()).findings


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("status checksum", "bad db checksum"),
        ("status schema", "not a v6 database"),
        ("status garbage", "file is not a database"),
    ],
)
async def test_a_database_that_cannot_be_used_is_said_with_its_reason(
    world: World, status: str, said: str
) -> None:
    world.fake.does(status=status)
    problem = (await world.data.state()).problem
    assert f"Grype's database in {world.cache} cannot be used (" in problem
    assert said in problem
    assert "grype db delete" in problem
    assert await world.failure() == problem


async def test_an_old_database_is_used_and_its_age_is_said(world: World) -> None:
    world.clock.advance(6 * 24 * HOUR)
    state = await world.data.state()
    assert state.as_of == BUILT
    assert state.problem.startswith("Grype's database was built 6 days ago: run ")
    matches = await world.match()
    assert matches.as_of is not None
    assert matches.as_of < BUILT, "the policy says how old is too old"


async def test_a_database_that_is_replaced_meanwhile_is_asked_again(world: World) -> None:
    before = await world.data.state()
    world.fake.does(built="2026-11-25T18:00:00Z")
    matches = await world.match()
    state = await world.data.state()
    assert state.as_of == BUILT + 12 * HOUR
    assert matches.data == state.identity != before.identity
    assert world.fake.scans() == 2


async def test_answers_that_never_are_of_the_database_that_is_there_are_a_failure(
    world: World,
) -> None:
    world.fake.does("behind", built="2026-11-25T18:00:00Z")
    assert await world.failure() == (
        "Grype's database was replaced twice while it was asked: ask again"
    )


async def test_a_grype_that_hangs_is_killed_with_all_it_started(
    tmp_path: Path, judges: Judges
) -> None:
    world = World(tmp_path, judges, seconds=8.0)
    make_database(world.cache)
    await world.grype.clear()
    await world.data.state()
    world.fake.does("hang")
    assert await world.failure() == (
        "grype did not end in 8 s: raise IMAGEGATE_SCANNER_GRYPE_SECONDS if this machine is slow"
    )

    async def gone() -> bool:
        return not _processes_of(world.fake.folder / "grype")

    await eventually(gone)
    assert list(world.scratch.iterdir()) == []


async def test_a_grype_that_dies_is_a_failure_with_its_signal(world: World) -> None:
    await world.data.state()
    world.fake.does("die")
    assert await world.failure() == "grype failed: killed by signal 9"


async def test_a_grype_that_floods_is_stopped(world: World) -> None:
    await world.data.state()
    world.fake.does("flood")
    assert "wrote more than" in await world.failure()
    assert list(world.scratch.iterdir()) == []


async def test_an_answer_that_is_none_is_a_failure(world: World) -> None:
    await world.data.state()
    world.fake.does("nonsense")
    assert (await world.failure()).startswith("DecodeError: JSON is malformed")


async def test_what_grype_says_when_it_fails_is_shown(world: World) -> None:
    await world.data.state()
    world.fake.does("says no")
    assert await world.failure() == (
        "grype failed: exit code 1: [0000] ERROR failed to catalog: unable to decode sbom: sbom "
        "format not recognized"
    )


async def test_a_program_that_is_no_grype_is_named(world: World) -> None:
    world.fake.does("no status")
    problem = (await world.data.state()).problem
    assert problem.startswith("`grype db status` gave no status (exit code 0)")
    assert str(world.fake.folder) in problem


async def test_a_cancelled_check_leaves_no_process(world: World) -> None:
    await world.data.state()
    world.fake.does("hang")
    task = asyncio.create_task(world.data.match(FACTS))

    async def started() -> bool:
        return bool(_processes_of(world.fake.folder / "grype"))

    await eventually(started)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not _processes_of(world.fake.folder / "grype")


async def test_at_most_so_many_run_at_once_and_all_are_answered(
    tmp_path: Path, judges: Judges
) -> None:
    world = World(tmp_path, judges, at_once=1)
    make_database(world.cache)
    await world.grype.clear()
    images = ["debian-12", "alpine-3.20", "rhel-9", "python", "debian-9"]
    answers = await asyncio.gather(*(world.match(one) for one in images))
    assert [len(one.findings) for one in answers] == [5, 2, 4, 7, 1]


def test_a_missing_grype_is_said_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"no grype on PATH.*github.com/anchore/grype"):
        find_grype(str(tmp_path))


def _processes_of(program: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(program).encode() in command:
                found.append(int(entry.name))
    return found
