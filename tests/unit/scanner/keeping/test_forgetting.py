"""Images that nobody asks about go: the oldest first, none that waits, and the file shrinks."""

import os
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.scanner.forgetting import DAY, Forgetting, Keep
from services.scanner.metrics import ScannerMetrics
from services.scanner.records import AnalysisStatus
from services.scanner.store import images, outbox, queue, size
from services.scanner.store.database import Database, open_database
from shared.runtime.metrics import Metrics
from tests.fakes.clock import START, FakeClock
from tests.unit.scanner.keeping.kept import analyse, digest_of, found, submit
from tests.unit.scanner.samples import facts

PLENTY = 2**40


class Store:
    def __init__(self, database: Database, file: Path) -> None:
        self.database = database
        self.file = file
        self.clock = FakeClock()
        self.metrics = Metrics()
        self._counted = ScannerMetrics(self.metrics)

    async def forget(self, *, days: float = 0, most: int = PLENTY) -> None:
        keep = Keep(days=days, most=most)
        await Forgetting(
            database=self.database, keep=keep, metrics=self._counted, clock=self.clock
        ).once()

    async def left(self) -> list[str]:
        page = await self.database.run(images.page, limit=10_000)
        return sorted(image.digest for image in page)

    async def used(self) -> int:
        return (await self.database.run(size.measure)).used


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_database(tmp_path) as database:
        yield Store(database, tmp_path / "scanner.db")


def bulky(seed: int, length: int = 50_000) -> bytes:
    """Facts that packing makes no smaller."""
    noise = random.Random(seed).randbytes(length).hex()
    return msgspec.json.encode(facts(dockerfile=noise))


async def test_what_nobody_asked_about_for_long_goes(store: Store) -> None:
    for number, age in enumerate((100, 91, 89, 0)):
        await store.database.run(analyse, digest_of(number), now=START - age * DAY)

    await store.forget(days=90)

    assert await store.left() == [digest_of(2), digest_of(3)]
    told = store.metrics.render().decode()
    assert 'imagegate_scanner_removed_images_total{reason="age"} 2.0' in told


async def test_a_question_keeps_an_image(store: Store) -> None:
    digest = digest_of(1)
    await store.database.run(analyse, digest, now=START - 100 * DAY)
    await store.database.run(images.use, digest, now=START - DAY)

    await store.forget(days=90)

    assert await store.left() == [digest]


async def test_questions_within_an_hour_write_nothing(store: Store) -> None:
    digest = digest_of(1)
    await store.database.run(analyse, digest, now=START)
    for later in (1, images.USED_TO - 1):
        await store.database.run(images.use, digest, now=START + later)
        assert (await found(store.database, digest)).last_used == START
    await store.database.run(images.use, digest, now=START + images.USED_TO)
    assert (await found(store.database, digest)).last_used == START + images.USED_TO


async def test_days_of_0_keep_for_ever(store: Store) -> None:
    await store.database.run(analyse, digest_of(1), now=1)

    await store.forget(days=0)

    assert await store.left() == [digest_of(1)]


async def test_what_waits_or_is_being_analysed_stays_however_old_and_large(store: Store) -> None:
    await store.database.run(submit, digest_of(1), now=1)
    await store.database.run(queue.claim, now=1)
    await store.database.run(submit, digest_of(2), now=2)

    await store.forget(days=1, most=1)

    statuses = [(await found(store.database, digest_of(n))).status for n in (1, 2)]
    assert statuses == [AnalysisStatus.ANALYZING, AnalysisStatus.NOT_ANALYZED]


async def test_what_is_too_much_goes_least_recently_used_first_and_the_file_shrinks(
    store: Store,
) -> None:
    for number in range(200):
        await store.database.run(
            analyse, digest_of(number), now=START + number, facts=bulky(number)
        )
    await store.database.run(images.use, digest_of(0), now=START + 2 * images.USED_TO)
    await store.database.tidy(size.empty_log)
    large = os.stat(store.file).st_size
    most = large // 2

    await store.forget(most=most)

    left = await store.left()
    assert digest_of(0) in left
    assert digest_of(199) in left
    assert digest_of(1) not in left
    assert len(left) < 200
    assert await store.used() <= most
    assert os.stat(store.file).st_size <= most + 2**20
    assert os.stat(f"{store.file}-wal").st_size == 0


async def test_all_that_belongs_to_an_image_goes_with_it(store: Store) -> None:
    digest = digest_of(1)
    await store.database.run(submit, digest, now=1)
    image = await store.database.run(queue.claim, now=1)
    assert image is not None
    await store.database.run(queue.fail, image, reason="no", now=1)

    await store.forget(days=1)

    def rows(connection: sqlite3.Connection) -> list[int]:
        query = (
            "SELECT (SELECT count(*) FROM images), (SELECT count(*) FROM tags),"
            " (SELECT count(*) FROM matches), (SELECT count(*) FROM evaluations),"
            " (SELECT count(*) FROM events)"
        )
        return [*connection.execute(query).fetchone()]

    assert await store.database.run(rows) == [0] * 5


async def test_notices_that_nobody_takes_are_bounded(store: Store) -> None:
    def many(connection: sqlite3.Connection) -> None:
        for number in range(outbox.KEPT + 5):
            outbox.add(
                connection,
                kind="policy_eval",
                body=str(number).encode(),
                urgent=False,
                now=number,
            )

    await store.database.run(many)
    assert await store.database.run(outbox.forget, before=3) == 5
    assert await store.database.run(outbox.waiting) == outbox.KEPT
    first = await store.database.run(outbox.first)
    assert first is not None
    assert first.body == b"5"
