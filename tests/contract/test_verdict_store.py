import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.step import Lane
from shared.ports.claims import Claim, Hold
from shared.ports.verdicts import MAX_AHEAD, Put
from tests.contract.stores import A_WHILE, MINUTE, World, listening, sealed, step
from tests.waiting import eventually

KEY = "verdict:registry.test/app@sha256:1#v1|team|||"
SCAN = "scan:registry.test/app@sha256:1#v1|team|||"


async def _put(world: World, record: bytes, *, key: str = KEY) -> Put:
    return await world.store.put(record, key=key, ends=world.now() + MINUTE)


async def _hold(world: World, chain: str) -> Hold:
    held = await world.leases.hold(
        SCAN, chain=chain, hop=1, life=MINUTE, lane=Lane.CHECK, first_seen=1
    )
    return held.outcome


async def test_what_was_put_is_read_back_byte_for_byte(world: World) -> None:
    record = sealed(world.now(), "bytes \x00\r\n 'quoted' ünï")
    assert await _put(world, record) is Put.WRITTEN
    assert await world.store.read([KEY]) == [record]


async def test_records_come_in_the_order_of_their_keys_and_unknown_ones_are_none(
    world: World,
) -> None:
    first, second = sealed(world.now(), "first"), sealed(world.now(), "second")
    await _put(world, first, key="pointer:a")
    await _put(world, second, key="pointer:b")
    found = await world.store.read(["pointer:b", "pointer:none", "pointer:a", "pointer:b"])
    assert found == [second, None, first, second]
    assert await world.store.read([]) == []


async def test_many_reads_at_once_get_each_their_own_records(world: World) -> None:
    records = {f"pointer:{n}": sealed(world.now(), f"record {n}") for n in range(60)}
    for key, record in records.items():
        await _put(world, record, key=key)
    wanted = [[f"pointer:{(n * 7 + m) % 70}" for m in range(n % 20)] for n in range(200)]
    found = await asyncio.gather(*(world.store.read(keys) for keys in wanted))
    assert found == [[records.get(key) for key in keys] for keys in wanted]


async def test_one_read_of_a_thousand_keys_is_answered_whole(world: World) -> None:
    record = sealed(world.now())
    await _put(world, record, key="pointer:999")
    found = await world.store.read([f"pointer:{n}" for n in range(1_000)])
    assert found == [None] * 999 + [record]


async def test_a_reader_that_goes_away_does_not_disturb_the_others(world: World) -> None:
    record = sealed(world.now())
    await _put(world, record)
    reads = [asyncio.create_task(world.store.read([KEY])) for _ in range(20)]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    assert await asyncio.gather(*reads[1::2]) == [[record]] * 10
    await asyncio.wait(reads)
    assert await world.store.read([KEY]) == [record]


async def test_a_newer_record_replaces_an_older_one(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now - 1, "older"))
    assert await _put(world, sealed(now, "newer")) is Put.WRITTEN
    assert await world.store.read([KEY]) == [sealed(now, "newer")]


async def test_an_older_record_never_overwrites_a_newer_one(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now, "newer"))
    assert await _put(world, sealed(now - 1, "older")) is Put.OLDER
    assert await world.store.read([KEY]) == [sealed(now, "newer")]


async def test_of_two_records_of_one_order_the_first_stays(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now, "first"))
    assert await _put(world, sealed(now, "second")) is Put.OLDER
    assert await world.store.read([KEY]) == [sealed(now, "first")]


@given(orders=st.lists(st.integers(min_value=0, max_value=1_750_000_000_000), min_size=1))
@settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_sequence_of_puts_leaves_the_newest(world: World, orders: list[int]) -> None:
    key = f"verdict:{uuid.uuid4().hex}"
    newest = -1
    for order in orders:
        expected = Put.WRITTEN if order > newest else Put.OLDER
        newest = max(newest, order)
        assert await _put(world, sealed(order), key=key) is expected
        assert await world.store.read([key]) == [sealed(newest)]


async def test_of_many_puts_at_once_the_newest_stays(world: World) -> None:
    now = world.now()
    orders = [now - (n * 37) % 100 for n in range(100)]
    answers = await asyncio.gather(*(_put(world, sealed(order)) for order in orders))
    assert await world.store.read([KEY]) == [sealed(max(orders))]
    assert Put.WRITTEN in answers


async def test_a_record_ahead_of_the_stores_clock_is_refused(world: World) -> None:
    record = sealed(world.now() + MAX_AHEAD + 1_000)
    assert await _put(world, record) is Put.AHEAD
    assert await world.store.read([KEY]) == [None]


async def test_a_clock_a_little_ahead_is_borne(world: World) -> None:
    assert await _put(world, sealed(world.now() + MAX_AHEAD - 1_000)) is Put.WRITTEN


async def test_a_record_whose_end_is_past_takes_nothing_away(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now - 1, "good"))
    put = await world.store.put(sealed(now, "late"), key=KEY, ends=now - 1)
    assert put is Put.ENDED
    assert await world.store.read([KEY]) == [sealed(now - 1, "good")]


async def test_bytes_that_no_sealer_made_are_a_programming_error(world: World) -> None:
    with pytest.raises(ValueError, match="16 digits"):
        await _put(world, b"12345 no order")
    assert await world.store.read([KEY]) == [None]


async def test_a_record_is_not_read_after_its_end(world: World) -> None:
    record = sealed(world.now())
    await world.store.put(record, key=KEY, ends=world.now() + A_WHILE)
    assert await world.store.read([KEY]) == [record]
    await world.passes(A_WHILE)
    assert await world.store.read([KEY]) == [None]
    assert await world.store.keys("", limit=10) == []


async def test_a_record_that_has_ended_holds_no_place_against_an_older_one(world: World) -> None:
    now = world.now()
    await world.store.put(sealed(now, "ended"), key=KEY, ends=now - 1)
    assert await world.store.read([KEY]) == [None]
    assert await _put(world, sealed(now - 1, "older")) is Put.WRITTEN


async def test_a_put_removes_the_scan_record_of_its_chain(world: World) -> None:
    await _hold(world, "chain")
    now = world.now()
    await world.store.put(sealed(now), key=KEY, ends=now + MINUTE, scan=SCAN, chain="chain")
    assert await world.leases.oldest() == {}
    assert await _hold(world, "another") is Hold.HELD


async def test_a_put_leaves_the_scan_record_of_another_chain(world: World) -> None:
    await _hold(world, "another")
    now = world.now()
    await world.store.put(sealed(now), key=KEY, ends=now + MINUTE, scan=SCAN, chain="chain")
    assert await _hold(world, "chain") is Hold.FOREIGN
    assert await world.leases.oldest() == {Lane.CHECK: 1}


async def test_a_put_that_came_too_late_ends_its_scan_all_the_same(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now, "newer"))
    await _hold(world, "chain")
    answer = await world.store.put(
        sealed(now - 1), key=KEY, ends=now + MINUTE, scan=SCAN, chain="chain"
    )
    assert answer is Put.OLDER
    claim = await world.claims.claim("claim", step("a"), life=MINUTE, scans=[SCAN])
    assert claim is Claim.TAKEN


async def test_a_put_ahead_of_the_clock_leaves_the_scan_under_way(world: World) -> None:
    await _hold(world, "chain")
    ahead = world.now() + MAX_AHEAD + 1_000
    await world.store.put(sealed(ahead), key=KEY, ends=ahead, scan=SCAN, chain="chain")
    assert await _hold(world, "another") is Hold.FOREIGN


async def test_a_listener_gets_one_gap_when_it_is_attached(world: World) -> None:
    async with listening(world.store) as ear:
        await asyncio.sleep(0.05)
        assert ear.heard == [None]


async def test_every_listener_hears_the_key_of_what_was_written(world: World) -> None:
    async with listening(world.store) as one, listening(world.store) as other:
        await _put(world, sealed(world.now()), key="pointer:ä 'quoted'")
        await one.until(None, "pointer:ä 'quoted'")
        await other.until(None, "pointer:ä 'quoted'")


async def test_what_was_announced_can_be_read(world: World) -> None:
    async with listening(world.store) as ear:
        record = sealed(world.now())
        putting = asyncio.create_task(_put(world, record))
        await ear.until(None, KEY)
        assert await world.store.read([KEY]) == [record]
        await putting


async def test_what_was_refused_is_not_announced(world: World) -> None:
    now = world.now()
    async with listening(world.store) as ear:
        await _put(world, sealed(now))
        await _put(world, sealed(now - 1))
        await _put(world, sealed(now + MAX_AHEAD + 1_000))
        await _put(world, sealed(now), key="pointer:last")
        await ear.until(None, KEY, "pointer:last")


async def test_a_listener_that_left_leaves_nothing_behind(world: World) -> None:
    before = asyncio.all_tasks()
    async with listening(world.store) as ear:
        pass
    await _put(world, sealed(world.now()))
    await world.store.read([KEY])
    await asyncio.sleep(0.05)
    assert ear.heard == [None]
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_keys_are_listed_by_prefix_and_never_more_than_asked_for(world: World) -> None:
    for key in ("pointer:a*b", "pointer:a1b", "pointer:b", "verdict:a"):
        await _put(world, sealed(world.now()), key=key)
    await world.claims.claim("pointer:claim", step("a"), life=MINUTE)
    await _hold(world, "chain")
    assert sorted(await world.store.keys("pointer:", limit=10)) == [
        "pointer:a*b",
        "pointer:a1b",
        "pointer:b",
    ]
    assert await world.store.keys("pointer:a*", limit=10) == ["pointer:a*b"]
    assert len(await world.store.keys("", limit=10)) == 4
    assert len(await world.store.keys("", limit=3)) == 3


async def test_a_store_that_is_there_answers_a_ping(world: World) -> None:
    await world.store.ping()
