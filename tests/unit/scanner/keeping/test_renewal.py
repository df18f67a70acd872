"""Images are looked at anew by other data, also after what went wrong for a moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.scanner.announcing import Announcements
from services.scanner.evaluating import Evaluating
from services.scanner.judging.judges import open_judges
from services.scanner.knowledge import Knowledge
from services.scanner.matching.finding import Matches, WrittenMatches
from services.scanner.matching.port import DataState, MatchingFailed
from services.scanner.metrics import ScannerMetrics
from services.scanner.precedence import Precedence
from services.scanner.renewal import Renewal
from services.scanner.store import images
from services.scanner.store.database import Database, open_database
from shared.runtime.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.unit.scanner.keeping.kept import analyse, digest_of
from tests.waiting import eventually

FEED = "feed"


class Broken:
    """Data that cannot be asked so many times, and can be afterwards."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.looks = self.asked = 0

    async def state(self) -> DataState:
        self.looks += 1
        return DataState(FEED, "osv", 1)

    async def match(self, facts: bytes) -> WrittenMatches:
        self.asked += 1
        if self.asked <= self.failures:
            raise MatchingFailed("for a moment")
        return WrittenMatches.of(Matches(FEED, "debian:12", 1))


@asynccontextmanager
async def renewing(
    database: Database, data: Broken, *, look_again: float, retry: float
) -> AsyncIterator[None]:
    clock, metrics = FakeClock(), ScannerMetrics(Metrics())
    knowledge = Knowledge(database=database, data=data)
    async with open_judges(count=1, seconds=60.0) as judges:
        renewal = Renewal(
            database=database,
            data=data,
            knowledge=knowledge,
            evaluating=Evaluating(
                database=database,
                knowledge=knowledge,
                judges=judges,
                announcements=Announcements(notices=False),
                metrics=metrics,
                clock=clock,
            ),
            precedence=Precedence(),
            metrics=metrics,
        )
        task = asyncio.create_task(renewal.run(look_again=look_again, retry=retry))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def left(database: Database) -> int:
    return len(await database.run(images.outdated, data=FEED))


async def test_what_failed_for_a_moment_is_tried_again_soon(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await database.run(analyse, digest_of(1), now=1)
        data = Broken(2)
        async with renewing(database, data, look_again=0.05, retry=3600.0):

            async def done() -> bool:
                return not await left(database)

            await eventually(done, within=60)
        assert data.asked == 3


async def test_what_goes_on_failing_is_tried_ever_less_often(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        await database.run(analyse, digest_of(1), now=1)
        data = Broken(10**6)
        async with renewing(database, data, look_again=0.01, retry=3600.0):
            await eventually(lambda: data.looks >= 100)
        # After 0, 1, 2, 4 ... looks: a hundred of them are seven tries.
        assert 2 <= data.asked <= 8
        assert await left(database) == 1
