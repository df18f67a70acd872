"""The database's file: kept, locked, versioned."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from services.scanner.records import AnalysisStatus, EventType
from services.scanner.store import events, images, policies, queue
from services.scanner.store.database import StoreFailed, open_database
from shared.domain.errors import InvalidSettings
from tests.unit.scanner.samples import FACTS

DIGEST = "sha256:" + "a" * 64


def add(connection: sqlite3.Connection, digest: str = DIGEST, now: int = 1) -> None:
    images.add(
        connection,
        digest=digest,
        image_id="1",
        repository="registry.example/a",
        dockerfile=None,
        annotations={},
        now=now,
    )
    images.add_tag(connection, digest=digest, fulltag="registry.example/a:1", now=now)


async def test_what_was_written_is_there_the_next_time(tmp_path: Path) -> None:
    async with open_database(tmp_path / "state") as database:
        await database.run(add)
    async with open_database(tmp_path / "state") as database:
        found = await database.run(images.find, DIGEST)

    assert found is not None
    assert found.status is AnalysisStatus.NOT_ANALYZED


async def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    async with open_database(tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state" / "scanner.db").stat().st_mode) == 0o600


async def test_two_scanners_never_share_a_folder(tmp_path: Path) -> None:
    async with open_database(tmp_path):
        with pytest.raises(InvalidSettings, match="another scanner uses the state folder"):
            async with open_database(tmp_path):
                pass


async def test_who_holds_the_file_is_told_to_let_go(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await database.tidy(lambda connection: connection.execute("PRAGMA busy_timeout = 10"))
        with closing(sqlite3.connect(tmp_path / "scanner.db")) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed, match=r"another program holds .*scanner\.db .*end it"):
                await database.run(add)
        await database.run(add)


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scanner.db").write_bytes(b"not a database, by no means" * 100)

    with pytest.raises(InvalidSettings, match="not the scanner's database"):
        async with open_database(tmp_path):
            pass


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "scanner.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(InvalidSettings, match="schema version 99"):
        async with open_database(tmp_path):
            pass


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidSettings, match="state folder"):
        async with open_database(tmp_path / "file" / "state"):
            pass


async def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add(connection)
        raise LookupError("half way")

    async with open_database(tmp_path) as database:
        with pytest.raises(LookupError, match="half way"):
            await database.run(half)
        assert await database.run(images.find, DIGEST) is None


async def test_images_are_taken_oldest_first_and_once(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        for number in (2, 1, 3):
            await database.run(add, f"sha256:{number}", now=number)
        taken = [await database.run(queue.claim, now=9) for _ in range(4)]

    assert [one.digest if one else None for one in taken] == [
        "sha256:1",
        "sha256:2",
        "sha256:3",
        None,
    ]


async def test_the_end_of_an_analysis_that_was_asked_anew_does_not_count(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await database.run(add)
        first = await database.run(queue.claim, now=2)
        assert first is not None
        await database.run(
            queue.analyse_again, digest=DIGEST, repository="r/a", dockerfile=None, now=3
        )

        assert not await database.run(queue.finish, first, facts=msgspec.json.encode(FACTS), now=4)
        assert not await database.run(queue.fail, first, reason="late", now=4)
        found = await database.run(images.find, DIGEST)
        assert found is not None
        assert found.status is AnalysisStatus.NOT_ANALYZED


async def test_kept_failures_are_bounded(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await database.run(add)
        for number in range(events.KEPT + 20):
            await database.run(
                queue.analyse_again, digest=DIGEST, repository="r/a", dockerfile=None, now=number
            )
            image = await database.run(queue.claim, now=number)
            assert image is not None
            await database.run(queue.fail, image, reason=f"reason {number}", now=number)
        found = await database.run(
            events.page, kinds=[*EventType], fulltag=None, offset=0, limit=10_000
        )

    assert len(found) == events.KEPT
    assert msgspec.json.decode(found[0].details) == {"msg": f"reason {events.KEPT + 19}"}


async def test_at_most_one_policy_is_active(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        for policy_id in ("a", "b"):
            await database.run(
                policies.put, policy_id=policy_id, name="", bundle=b"{}", now=1, active=True
            )
        await database.run(policies.put, policy_id="b", name="new", bundle=b"{}", now=2)
        found = await database.run(policies.every)

    assert [(one.id, one.active, one.name) for one in found] == [
        ("a", False, ""),
        ("b", True, "new"),
    ]
