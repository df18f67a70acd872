"""What is kept of the data's answers, and for whom."""

from pathlib import Path

from services.scanner.knowledge import Knowledge
from services.scanner.matching.by_program import ReadByProgram
from services.scanner.matching.finding import Matches, WrittenMatches
from services.scanner.matching.port import DataState
from services.scanner.store.database import open_database
from tests.unit.scanner.keeping.kept import analyse, digest_of, found


class Records:
    """The same data for every program; each reads something else in it."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.asked = 0

    async def state(self) -> DataState:
        return DataState("feed", "osv", 1)

    async def match(self, facts: bytes) -> WrittenMatches:
        self.asked += 1
        return WrittenMatches.of(Matches("feed", "debian:12", 1, unavailable=self.program))


async def test_what_an_older_program_made_of_the_same_feed_is_not_served(tmp_path: Path) -> None:
    digest = digest_of(1)
    async with open_database(tmp_path) as database:
        await database.run(analyse, digest, now=1)
        image = await found(database, digest)
        for program in ("1.0", "2.0"):
            records = Records(program)
            data = ReadByProgram(records, version=program)
            knowledge = Knowledge(database=database, data=data)
            for _ in range(2):
                matches = (await knowledge.of(image)).matches
                assert matches.read().unavailable == program
                assert matches.data == (await data.state()).identity
            assert records.asked == 1
