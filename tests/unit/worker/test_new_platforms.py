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
from shared.domain.platforms import NEW_FOR, Platforms, PlatformSeen, PlatformTerms
from shared.domain.rules import Rules
from tests.fakes.clock import START, FakeClock
from tests.fakes.sealing import PlainSealer
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

AMD, ARM = "linux/amd64", "linux/arm64"
KNOWN = PlatformSeen(AMD, START - 1, START - 1, judged_at=START - 1)
NEW = PlatformSeen(ARM, START, START)


class Counting(Ledger):
    """A pen whose reads and writes are counted, and whose reads may fail."""

    reads = 0
    writes = 0
    away = False

    async def platforms(self, cluster: str) -> Platforms | None:
        self.reads += 1
        if self.away:
            raise StoreUnreachable("Redis is away")
        return await super().platforms(cluster)

    async def write_platforms(self, platforms: Platforms) -> None:
        self.writes += 1
        await super().write_platforms(platforms)


class Site:
    """A cluster with one platform that is new."""

    def __init__(self, cluster: str = "") -> None:
        self.cluster = cluster
        self.clock = FakeClock()
        sealer = PlainSealer()
        self.ledger = Counting(
            store=MemoryVerdictStore(clock=self.clock, leases=MemoryScanLeases(clock=self.clock)),
            sealer=sealer,
            unsealer=sealer,
            clock=self.clock,
        )
        self.new = NewPlatforms(ledger=self.ledger, clock=self.clock, cluster=cluster)

    async def judged(self, found: Surveyed) -> set[str]:
        """The platforms that count as judged after that survey."""
        await self.ledger.write_platforms(Platforms(self.cluster, START, (KNOWN, NEW)))
        self.new.surveyed(found)
        await self.new.once()
        return await self.counted()

    async def counted(self) -> set[str]:
        record = await self.ledger.platforms(self.cluster)
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


async def test_it_is_written_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    await site.judged(Surveyed(START + 1, new={ARM: 1}, new_asked=True))
    assert (site.ledger.writes, caplog.records) == (1, [])  # the test's own
    for later in range(3):
        site.new.surveyed(Surveyed(START + NEW_FOR + later, new={ARM: 0}, new_asked=True))
        await site.new.once()
    assert site.ledger.writes == 2
    (told,) = caplog.records
    assert (told.levelname, vars(told)["platforms"]) == ("WARNING", ARM)


async def test_each_cluster_of_a_store_has_its_own() -> None:
    one, other = Site("one"), Site("other")
    other.ledger = one.ledger
    await other.ledger.write_platforms(Platforms("other", START, (KNOWN, NEW)))
    assert await one.judged(Surveyed(START + 1, new={ARM: 0}, new_asked=True)) == {AMD, ARM}
    assert await other.counted() == {AMD}


async def test_a_clock_that_is_ahead_of_the_stores_ends_nothing() -> None:
    site = Site()
    await site.judged(Surveyed(START + 1, new={ARM: 1}, new_asked=True))
    ahead = FakeClock(now=START + NEW_FOR)
    new = NewPlatforms(ledger=site.ledger, clock=ahead)
    new.surveyed(Surveyed(START + 1, new={ARM: 0}, new_asked=True))
    running = asyncio.create_task(new.run())
    await eventually(lambda: site.ledger.writes == 2)
    assert await site.counted() == {AMD}
    ahead.put(-NEW_FOR)
    new.surveyed(Surveyed(START + 1, new={ARM: 0}, new_asked=True))

    async def counts() -> bool:
        return await site.counted() == {AMD, ARM}

    await eventually(counts)
    running.cancel()
    await asyncio.wait([running])


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


async def test_images_are_judged_for_the_platforms_of_the_cluster_of_that_name() -> None:
    site = Site()
    await site.ledger.write_platforms(Platforms("", START, (KNOWN,)))
    await site.ledger.write_platforms(Platforms("arm", START, (NEW,)))
    judged = JudgedPlatforms(
        ledger=site.ledger, rules=Rules, clock=site.clock, terms=PlatformTerms("arm")
    )
    assert await judged.now() == (ARM,)
