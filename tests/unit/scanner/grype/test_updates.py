"""Updates of Grype's database by Grype itself: off unless wanted, failures logged and counted."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.scanner.judging.judges import Judges, open_judges
from services.scanner.matching.grype_configured import grype_state, open_grype
from services.scanner.settings import GrypeSettings
from tests.fakes.clock import FakeClock
from tests.fakes.grype import FakeGrype, make_database
from tests.unit.scanner.grype.samples import BUILT
from tests.waiting import eventually

MIRROR = {"GRYPE_DB_UPDATE_URL": "https://mirror.example", "GRYPE_DB_AUTO_UPDATE": "true"}


@pytest.fixture
async def judges() -> AsyncIterator[Judges]:
    async with open_judges(count=1, seconds=60.0) as opened:
        yield opened


@pytest.fixture
def fake(tmp_path: Path) -> FakeGrype:
    return FakeGrype(tmp_path / "bin")


def settings(fake: FakeGrype, folder: Path, *, hours: float = 0.0) -> GrypeSettings:
    return GrypeSettings(
        imagegate_state=folder / "state",
        path=str(fake.folder),
        imagegate_scanner_grype_update_hours=hours,
    )


def updates(fake: FakeGrype) -> list[dict[str, str]]:
    """The environment of each `grype db update`."""
    return [one["environ"] for one in fake.runs if one["arguments"] == ["db", "update"]]


async def test_a_database_is_had_where_updates_are_wanted(
    fake: FakeGrype, tmp_path: Path, judges: Judges
) -> None:
    told = settings(fake, tmp_path, hours=6)
    made = make_database(tmp_path / "newer")
    (fake.folder / "newer.db").write_bytes(made.read_bytes())
    fake.does("update")
    noted: list[str] = []
    async with open_grype(
        told,
        judges=judges,
        clock=FakeClock(now=BUILT),
        scratch=tmp_path / "scratch",
        at_once=1,
        environ=MIRROR,
        updated=noted.append,
    ) as data:
        await eventually(lambda: noted == ["done"])
        assert not (await data.state()).problem
    (environ,) = updates(fake)
    assert environ["GRYPE_DB_UPDATE_URL"] == "https://mirror.example"
    assert environ["GRYPE_DB_AUTO_UPDATE"] == "false", "ours count"
    assert environ["GRYPE_DB_CACHE_DIR"] == str(told.grype_cache)


async def test_an_update_that_fails_is_logged_and_counted_and_the_old_one_stays(
    fake: FakeGrype, tmp_path: Path, judges: Judges, caplog: pytest.LogCaptureFixture
) -> None:
    told = settings(fake, tmp_path, hours=6)
    make_database(told.grype_cache)
    noted: list[str] = []
    with caplog.at_level(logging.WARNING):
        async with open_grype(
            told,
            judges=judges,
            clock=FakeClock(now=BUILT),
            scratch=tmp_path / "scratch",
            at_once=1,
            environ={},
            updated=noted.append,
        ) as data:
            await eventually(lambda: noted == ["failed"])
            assert (await data.state()).as_of == BUILT
    (record,) = caplog.records
    assert record.message == "Grype's database could not be updated"
    assert "no such host" in record.__dict__["reason"]


async def test_nobody_is_asked_unless_it_is_wanted(
    fake: FakeGrype, tmp_path: Path, judges: Judges
) -> None:
    noted: list[str] = []
    async with open_grype(
        settings(fake, tmp_path),
        judges=judges,
        clock=FakeClock(now=BUILT),
        scratch=tmp_path / "scratch",
        at_once=1,
        environ={},
        updated=noted.append,
    ) as data:
        assert "Grype has no database" in (await data.state()).problem
    assert updates(fake) == []
    assert noted == []


async def test_a_command_that_only_looks_leaves_the_servers_scratch_alone(
    fake: FakeGrype, tmp_path: Path
) -> None:
    told = settings(fake, tmp_path)
    make_database(told.grype_cache)
    state = await grype_state(told, clock=FakeClock(now=BUILT))
    assert (state.source, state.as_of, state.problem) == ("grype", BUILT, "")
    assert sorted(one.name for one in (tmp_path / "state" / "scanner").iterdir()) == ["grype"]
