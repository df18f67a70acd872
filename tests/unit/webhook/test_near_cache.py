"""The near cache: bounded, verified, never older than an announcement it has handled."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from services.webhook.entries import NEVER
from services.webhook.near_cache import NearCache
from services.webhook.trouble import Trouble
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import (
    StoreError,
    StoreMisconfigured,
    StoreRefused,
    StoreUnreachable,
)
from shared.domain.pointer import Pointer
from shared.domain.signing import Kind
from shared.ports.verdicts import Listener, Put
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer

KEY = "pointer:docker.io/library/app:1"
OTHER = "pointer:docker.io/library/app:2"


class Store:
    """A memory store that can be away, be held up, and counts the keys it was asked for."""

    def __init__(self, clock: FakeClock) -> None:
        self.inner = MemoryVerdictStore(clock=clock, leases=MemoryScanLeases(clock=clock))
        self.away: StoreError | None = None
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked += keys
        if self.away is not None:
            raise self.away
        found = await self.inner.read(keys)
        await self.answers.wait()
        return found

    async def put(
        self, sealed: bytes, *, key: str, ends: int, scan: str = "", chain: str = ""
    ) -> Put:
        return await self.inner.put(sealed, key=key, ends=ends, scan=scan, chain=chain)

    async def listen(self, listener: Listener) -> None:
        await self.inner.listen(listener)

    async def keys(self, prefix: str, *, limit: int) -> list[str]:
        return await self.inner.keys(prefix, limit=limit)

    async def ping(self) -> None:
        await self.inner.ping()


class Rig:
    """A cache over a store, and a pen to write records with."""

    def __init__(
        self, *, max_entries: int = 100, max_bytes: int = 1_000_000, max_absent: int = 100
    ) -> None:
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.sealer = PlainSealer()
        self.bad: list[str] = []
        self.troubles: list[Trouble] = []
        self.cache = NearCache(
            store=self.store,
            unsealer=self.sealer,
            clock=self.clock,
            on_bad_signature=self.bad.append,
            on_trouble=self.troubles.append,
            max_entries=max_entries,
            max_bytes=max_bytes,
            max_absent=max_absent,
        )

    def sealed(self, digest: str, *, key: str = KEY, order: int = 0, life: int = 60_000) -> bytes:
        now = self.clock.now()
        record = Pointer(reference=key, asked_at=now, digest=digest)
        return self.sealer.seal(
            record, kind=Kind.POINTER, key=key, order=order or now, ends=now + life
        )

    async def write(
        self, digest: str, *, key: str = KEY, order: int = 0, life: int = 60_000
    ) -> None:
        sealed = self.sealed(digest, key=key, order=order, life=life)
        await self.store.put(sealed, key=key, ends=self.clock.now() + life)

    async def read(self, key: str = KEY, *, fresh: bool = False) -> str | None:
        look = await self.cache.read([key], fresh=fresh)
        return digest_of(look.records[0])

    def glance(self, key: str = KEY) -> str | None:
        entries = self.cache.glance([key])
        return digest_of(entries[0].record) if entries else "not held"


def digest_of(record: msgspec.Struct | None) -> str | None:
    return record.digest if isinstance(record, Pointer) else None


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_what_was_read_is_answered_without_the_store_for_five_seconds(rig: Rig) -> None:
    await rig.write("a")
    assert await rig.read() == "a"
    rig.clock.advance(4_999)
    assert rig.glance() == "a"
    assert await rig.read() == "a"
    assert rig.store.asked == [KEY]
    rig.clock.advance(2)
    assert rig.glance() == "not held"
    assert await rig.read() == "a"
    assert rig.store.asked == [KEY, KEY]


async def test_an_announcement_makes_it_ask_again_at_once(rig: Rig) -> None:
    await rig.write("a")
    await rig.read()
    await rig.write("b", order=rig.clock.now() + 1)
    assert await rig.read() == "a"
    rig.cache.changed(KEY)
    assert rig.glance() == "not held"
    assert await rig.read() == "b"


async def test_a_gap_makes_it_ask_for_everything_again(rig: Rig) -> None:
    await rig.write("a")
    await rig.read()
    await rig.read(OTHER)
    await rig.write("b", order=rig.clock.now() + 1)
    rig.cache.gap()
    assert await rig.read() == "b"
    assert rig.glance(OTHER) == "not held"


async def test_a_read_that_an_announcement_overtook_never_comes_back(rig: Rig) -> None:
    await rig.write("old")
    rig.store.answers.clear()
    reading = asyncio.create_task(rig.read())
    await asyncio.sleep(0)
    await rig.write("new", order=rig.clock.now() + 1)
    rig.cache.changed(KEY)
    rig.store.answers.set()
    assert await reading == "new"
    assert rig.glance() == "new"


async def test_a_held_record_that_was_announced_is_not_served_by_an_overtaken_read(
    rig: Rig,
) -> None:
    await rig.write("old")
    await rig.read()
    rig.clock.advance(6_000)
    rig.store.answers.clear()
    reading = asyncio.create_task(rig.read())
    await asyncio.sleep(0)
    await rig.write("new")
    rig.cache.changed(KEY)
    rig.store.answers.set()
    assert await reading == "new"


async def test_an_absent_record_is_remembered_and_a_fresh_look_asks_again(rig: Rig) -> None:
    assert await rig.read() is None
    assert rig.glance() is None
    await rig.write("a")
    assert await rig.read() is None
    rig.clock.advance(1)
    assert await rig.read(fresh=True) == "a"


async def test_while_the_store_is_away_a_record_serves_to_its_signed_end(rig: Rig) -> None:
    await rig.write("a", life=30_000)
    await rig.read()
    rig.store.away = StoreUnreachable("away")
    rig.clock.advance(29_999)
    look = await rig.cache.read([KEY])
    assert digest_of(look.records[0]) == "a"
    assert isinstance(look.trouble, StoreUnreachable)
    rig.clock.advance(1)
    assert await rig.read() is None


async def test_a_store_that_is_away_is_not_asked_by_every_review(rig: Rig) -> None:
    rig.store.away = StoreUnreachable("away")
    for _ in range(10):
        look = await rig.cache.read([KEY])
        assert look.trouble is not None
    assert rig.store.asked == [KEY]
    rig.clock.advance(1_001)
    rig.store.away = None
    assert (await rig.cache.read([KEY])).trouble is None


async def test_a_record_that_the_store_lost_goes_on_and_is_said_to_be_lost(rig: Rig) -> None:
    await rig.write("a", life=30_000)
    await rig.read()
    rig.clock.advance(10_000)
    rig.store.inner = MemoryVerdictStore(clock=rig.clock, leases=MemoryScanLeases(clock=rig.clock))
    look = await rig.cache.read([KEY])
    assert digest_of(look.records[0]) == "a"
    assert look.lost
    assert rig.glance() == "not held"


async def test_an_older_record_put_back_into_the_store_does_not_replace_a_newer_one(
    rig: Rig,
) -> None:
    await rig.write("new", order=rig.clock.now() + 10)
    await rig.read()
    rig.store.inner = MemoryVerdictStore(clock=rig.clock, leases=MemoryScanLeases(clock=rig.clock))
    await rig.write("old", order=rig.clock.now() + 1)
    rig.cache.changed(KEY)
    assert await rig.read() == "new"


async def test_a_record_that_nobody_we_trust_signed_is_unknown_and_counted(rig: Rig) -> None:
    rig.sealer = PlainSealer(b"another")
    await rig.write("a")
    assert await rig.read() is None
    assert rig.bad == [KEY]


async def test_a_record_moved_from_another_key_is_unknown(rig: Rig) -> None:
    sealed = rig.sealed("a", key=OTHER)
    await rig.store.put(sealed, key=KEY, ends=rig.clock.now() + 60_000)
    assert await rig.read() is None
    assert rig.bad == [KEY]


async def test_concurrent_reads_of_a_key_share_one_question(rig: Rig) -> None:
    await rig.write("a")
    rig.store.answers.clear()
    reads = [asyncio.create_task(rig.read()) for _ in range(50)]
    await asyncio.sleep(0)
    rig.store.answers.set()
    assert await asyncio.gather(*reads) == ["a"] * 50
    assert rig.store.asked == [KEY]


async def test_a_reader_that_is_cancelled_takes_nothing_from_those_who_share_its_question(
    rig: Rig,
) -> None:
    await rig.write("a")
    rig.store.answers.clear()
    first = asyncio.create_task(rig.read())
    await asyncio.sleep(0)
    second = asyncio.create_task(rig.read())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    rig.store.answers.set()
    assert await second == "a"


async def test_it_is_bounded_in_entries_and_bytes() -> None:
    few = Rig(max_entries=3)
    small = Rig(max_bytes=2_000)
    for rig in (few, small):
        for number in range(20):
            key = f"pointer:docker.io/library/app:{number}"
            await rig.write("a", key=key)
            await rig.read(key)
    assert sum(few.glance(f"pointer:docker.io/library/app:{n}") == "a" for n in range(20)) == 3
    assert 0 < sum(small.glance(f"pointer:docker.io/library/app:{n}") == "a" for n in range(20)) < 4


async def test_names_that_nobody_knows_push_no_record_out_and_are_few() -> None:
    rig = Rig(max_entries=1, max_absent=3)
    await rig.write("a")
    await rig.read()
    unknown = [f"pointer:docker.io/library/unknown:{number}" for number in range(20)]
    for key in unknown:
        await rig.read(key)
    assert rig.glance() == "a"
    assert [key for key in unknown if rig.cache.glance([key])] == unknown[-3:]
    assert rig.cache.entries == 4


async def test_that_a_key_has_no_record_is_forgotten_once_it_would_be_asked_for_again(
    rig: Rig,
) -> None:
    await rig.read()
    size = rig.cache.size
    rig.clock.advance(5_000)
    await rig.read(OTHER)
    assert (rig.cache.entries, rig.cache.size) == (2, 2 * size)
    rig.clock.advance(1)
    await rig.read(f"{OTHER}.1")
    assert rig.cache.entries == 2


async def test_whoever_holds_an_entry_without_a_record_sees_that_it_was_forgotten() -> None:
    rig = Rig(max_absent=1)
    await rig.read()
    held = rig.cache.glance([KEY])
    assert held is not None
    await rig.read(OTHER)
    assert [entry.checked for entry in held] == [NEVER]


async def test_a_record_that_appears_where_there_was_none_counts_once(rig: Rig) -> None:
    await rig.read()
    await rig.write("a")
    rig.cache.changed(KEY)
    assert await rig.read() == "a"
    assert rig.cache.entries == 1
    rig.cache.gap()
    assert (rig.cache.entries, rig.glance()) == (1, "not held")


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (StoreUnreachable("away"), Trouble.UNREACHABLE),
        (StoreMisconfigured("WRONGPASS"), Trouble.MISCONFIGURED),
        (StoreRefused("READONLY"), Trouble.REFUSED),
        (StoreError("strange"), Trouble.UNEXPECTED),
    ],
)
async def test_each_read_that_the_store_does_not_answer_is_counted_by_what_is_wrong(
    rig: Rig, error: StoreError, trouble: Trouble
) -> None:
    rig.store.away = error
    assert await rig.read() is None
    assert rig.troubles == [trouble]
