"""When a platform that is new in the cluster begins to count, by what surveys show."""

import asyncio

import pytest

from services.worker.in_use import Surveyed
from services.worker.ledger import Ledger
from services.worker.new_platforms import NewPlatforms
from services.worker.platforms import READ_EVERY, JudgedPlatforms
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import StoreUnreachable
from shared.domain.platforms import NEW_FOR, Platforms, PlatformSeen
from shared.domain.rules import Rules
from tests.fakes.clock import START, FakeClock
from tests.fakes.sealing import PlainSealer
from tests.house import eventually

AMD, ARM = "linux/amd64", "linux/arm64"
KNOWN = PlatformSeen(AMD, START - 1, START - 1, judged_at=START - 1)
NEW = PlatformSeen(ARM, START, START)


class Counting(Ledger):
    """A pen whose reads are counted, and may fail."""

    reads = 0
    away = False

    async def platforms(self, cluster: str) -> Platforms | None:
        self.reads += 1
        if self.away:
            raise StoreUnreachable("Redis is away")
        return await super().platforms(cluster)


class Site:
    """A cluster with one platform that is new."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        sealer = PlainSealer()
        self.ledger = Counting(
            store=MemoryVerdictStore(clock=self.clock, leases=MemoryScanLeases(clock=self.clock)),
            sealer=sealer,
            unsealer=sealer,
            clock=self.clock,
        )
        self.new = NewPlatforms(ledger=self.ledger, clock=self.clock)

    async def judged(self, found: Surveyed) -> set[str]:
        """The platforms that count as judged after that survey."""
        await self.ledger.write_platforms(Platforms("", START, (KNOWN, NEW)))
        self.new.surveyed(found)
        await self.new.once()
        record = await self.ledger.platforms("")
        assert record is not None
        return {each.platform for each in record.platforms if each.judged_at}


@pytest.mark.parametrize(
    ("left", "at", "judged"),
    [
        ({ARM: 0}, START + 1, {AMD, ARM}),
        ({ARM: 1}, START + 1, {AMD}),
        ({ARM: 1}, START + NEW_FOR - 1, {AMD}),
        ({ARM: 1}, START + NEW_FOR, {AMD, ARM}),
        ({}, START + 1, {AMD}),
    ],
    ids=["all judged", "one left", "nearly a day", "a day", "seen after the survey"],
)
async def test_it_counts_once_all_is_judged_or_was_tried_for_a_day(
    left: dict[str, int], at: int, judged: set[str]
) -> None:
    assert await Site().judged(Surveyed(at, new=left, new_asked=True)) == judged


async def test_where_nothing_is_new_nothing_is_read() -> None:
    site = Site()
    site.new.surveyed(Surveyed(START + NEW_FOR))
    await site.new.once()
    assert site.ledger.reads == 0


async def test_a_store_that_is_away_ends_nothing() -> None:
    site = Site()
    site.ledger.away = True
    site.new.surveyed(Surveyed(START, new_asked=True))
    running = asyncio.create_task(site.new.run())
    await eventually(lambda: site.ledger.reads == 1)
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


async def test_the_record_is_read_again_after_a_moment_and_not_where_rules_name_platforms() -> None:
    site = Site()
    rules = Rules()
    judged = JudgedPlatforms(ledger=site.ledger, rules=lambda: rules, clock=site.clock)
    await judged.now()
    await judged.now()
    assert site.ledger.reads == 1
    site.clock.advance(round(READ_EVERY * 1000))
    await judged.now()
    assert site.ledger.reads == 2
    rules = Rules(platforms=(ARM,))
    site.clock.advance(60_000)
    assert await judged.now() == (ARM,)
    assert site.ledger.reads == 2
