"""A file of the scanner's first version goes on in this one."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from services.scanner.records import AnalysisStatus, EventType
from services.scanner.store import events, images, policies, queue
from services.scanner.store.database import open_database
from services.scanner.store.schema import SCHEMA_VERSION
from tests.unit.scanner.keeping.kept import found
from tests.unit.scanner.keeping.version_1 import write_version_1

KNOWN, BUSY, BROKEN, WAITING = (f"sha256:{letter * 64}" for letter in "abcd")
IMAGES = {
    KNOWN: "analyzed",
    BUSY: "analyzing",
    BROKEN: "analysis_failed",
    WAITING: "not_analyzed",
}


async def test_policies_tags_and_events_stay(tmp_path: Path) -> None:
    write_version_1(tmp_path, images=IMAGES, policy=b'{"id": "mine"}')

    async with open_database(tmp_path) as database:
        active = await database.run(policies.active)
        assert active is not None
        assert (active.id, active.bundle, active.last_updated) == ("mine", b'{"id": "mine"}', 6)
        image = await found(database, KNOWN)
        assert [tag.fulltag for tag in image.tags] == ["registry.example/a:1"]
        (event,) = await database.run(
            events.page, kinds=[*EventType], fulltag=None, offset=0, limit=10
        )
        assert event.type is EventType.ANALYSIS_FAILED
        assert msgspec.json.decode(event.details) == {"msg": 'it "broke"'}


async def test_what_was_analysed_waits_for_an_analysis_behind_what_people_wait_for(
    tmp_path: Path,
) -> None:
    write_version_1(tmp_path, images=IMAGES)

    async with open_database(tmp_path) as database:
        waiting = await database.run(queue.requeue)
        taken = [await database.run(queue.claim, now=99) for _ in range(4)]

    assert waiting == 3
    assert [one.digest if one else None for one in taken] == [BUSY, WAITING, KNOWN, None]


async def test_an_image_that_somebody_submits_again_waits_among_the_others(tmp_path: Path) -> None:
    write_version_1(tmp_path, images={KNOWN: "analyzed"} | {WAITING: "not_analyzed"})

    async with open_database(tmp_path) as database:
        await database.run(images.add_tag, digest=KNOWN, fulltag="registry.example/a:1", now=9)
        first = await database.run(queue.claim, now=99)
        assert first is not None
        assert first.digest == KNOWN


async def test_an_end_of_an_analysis_that_version_1_began_does_not_count(tmp_path: Path) -> None:
    write_version_1(tmp_path, images={KNOWN: "analyzed"})

    async with open_database(tmp_path) as database:
        image = await found(database, KNOWN)
        former = msgspec.structs.replace(image, attempt=1)
        assert not await database.run(queue.fail, former, reason="late", now=3)
        assert (await found(database, KNOWN)).status is AnalysisStatus.NOT_ANALYZED


async def test_the_file_can_shrink_afterwards(tmp_path: Path) -> None:
    file = write_version_1(tmp_path, images=IMAGES)
    async with open_database(tmp_path):
        pass

    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


async def test_a_step_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = write_version_1(tmp_path, images=IMAGES)
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE matches (in_the_way)")
    connection.commit()
    before = [*connection.iterdump()]
    connection.close()

    with pytest.raises(Exception, match="matches"):
        async with open_database(tmp_path):
            pass

    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert [*connection.iterdump()] == before
    connection.close()
