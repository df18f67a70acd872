import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.errors import StoreRefused
from shared.domain.exceptions import exception_key
from shared.ports.exceptions import MAX_SEALED
from shared.ports.verdicts import MAX_AHEAD, Put
from tests.contract.stores import EXCEPTED, MINUTE, World, listening, sealed

ID = "a1b2c3d4e5f6"


async def _put(world: World, record: bytes, *, name: str = ID, life: int = MINUTE) -> Put:
    return await world.exceptions.put(record, exception_id=name, ends=world.now() + life)


async def test_what_was_put_is_read_back_byte_for_byte(world: World) -> None:
    one, other = sealed(world.now(), "bytes \x00\r\n 'quoted' ünï"), sealed(world.now(), "other")
    assert await _put(world, one) is Put.WRITTEN
    assert await _put(world, other, name="2026-01-31.team_a") is Put.WRITTEN
    assert await world.exceptions.all() == {ID: one, "2026-01-31.team_a": other}


async def test_where_nothing_was_put_there_is_nothing(world: World) -> None:
    assert await world.exceptions.all() == {}


async def test_a_newer_record_replaces_an_older_one(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now - 1, "allowed"))
    assert await _put(world, sealed(now, "revoked")) is Put.WRITTEN
    assert await world.exceptions.all() == {ID: sealed(now, "revoked")}


async def test_an_older_record_never_overwrites_a_newer_one(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now, "revoked"))
    assert await _put(world, sealed(now - 1, "allowed")) is Put.OLDER
    assert await _put(world, sealed(now, "of the same moment")) is Put.OLDER
    assert await world.exceptions.all() == {ID: sealed(now, "revoked")}


@given(orders=st.lists(st.integers(min_value=0, max_value=1_750_000_000_000), min_size=1))
@settings(
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_sequence_of_puts_leaves_the_newest(world: World, orders: list[int]) -> None:
    name = uuid.uuid4().hex
    newest = -1
    for order in orders:
        expected = Put.WRITTEN if order >= newest else Put.OLDER
        newest = max(newest, order)
        assert await _put(world, sealed(order), name=name) is expected
        assert (await world.exceptions.all())[name] == sealed(newest)


async def test_the_same_record_put_once_more_is_there_and_not_told_again(world: World) -> None:
    record = sealed(world.now())
    async with listening(world.store) as ear:
        assert await _put(world, record) is Put.WRITTEN
        assert await _put(world, record) is Put.WRITTEN
        await _put(world, sealed(world.now()), name="another")
        await ear.until(None, exception_key(ID), exception_key("another"))


async def test_one_ahead_of_the_stores_clock_is_refused_and_a_little_ahead_is_borne(
    world: World,
) -> None:
    assert await _put(world, sealed(world.now() + MAX_AHEAD + 1_000)) is Put.AHEAD
    assert await world.exceptions.all() == {}
    assert await _put(world, sealed(world.now() + MAX_AHEAD - 1_000)) is Put.WRITTEN


async def test_one_whose_end_is_past_takes_nothing_away(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now - 1, "good"))
    assert await _put(world, sealed(now, "late"), life=-1) is Put.ENDED
    assert await world.exceptions.all() == {ID: sealed(now - 1, "good")}


async def test_what_has_ended_is_not_read_and_makes_room(world: World) -> None:
    for number in range(EXCEPTED):
        await _put(world, sealed(world.now()), name=f"short-{number}", life=300)
    await world.passes(300)
    assert await world.exceptions.all() == {}
    for number in range(EXCEPTED):
        assert await _put(world, sealed(world.now()), name=f"long-{number}") is Put.WRITTEN
    assert len(await world.exceptions.all()) == EXCEPTED


async def test_one_that_has_ended_holds_no_place_against_an_older_one(world: World) -> None:
    now = world.now()
    await _put(world, sealed(now, "ended"), life=200)
    await world.passes(200)
    assert await _put(world, sealed(now - 1, "older")) is Put.WRITTEN


async def test_where_all_places_are_taken_one_more_is_refused_aloud_and_a_newer_one_is_not(
    world: World,
) -> None:
    for number in range(EXCEPTED):
        await _put(world, sealed(world.now() - 1), name=f"e-{number}")
    async with listening(world.store) as ear:
        with pytest.raises(StoreRefused, match=rf"{EXCEPTED} exceptions are kept.*until one ends"):
            await _put(world, sealed(world.now()))
        assert await _put(world, sealed(world.now(), "revoked"), name="e-7") is Put.WRITTEN
        await ear.until(None, exception_key("e-7"))
    found = await world.exceptions.all()
    assert len(found) == EXCEPTED
    assert ID not in found


async def test_of_many_puts_at_once_none_is_lost_and_no_more_are_taken_than_fit(
    world: World,
) -> None:
    names = [f"e-{number}" for number in range(EXCEPTED + 20)]
    answers = await asyncio.gather(
        *(_put(world, sealed(world.now()), name=name) for name in names), return_exceptions=True
    )
    written = {name for name, put in zip(names, answers, strict=True) if put is Put.WRITTEN}
    assert len(written) == EXCEPTED
    assert set(await world.exceptions.all()) == written
    assert sum(isinstance(put, StoreRefused) for put in answers) == 20


async def test_what_is_too_large_is_refused_with_what_to_do(world: World) -> None:
    empty = len(sealed(world.now(), ""))
    whole = sealed(world.now(), "a" * (MAX_SEALED - empty))
    assert await _put(world, whole) is Put.WRITTEN
    with pytest.raises(StoreRefused, match="name fewer findings"):
        await _put(world, sealed(world.now(), "a" * (MAX_SEALED - empty + 1)), name="large")
    assert await world.exceptions.all() == {ID: whole}


async def test_every_listener_of_verdicts_hears_of_it_and_can_read_it_then(world: World) -> None:
    record = sealed(world.now())
    async with listening(world.store) as one, listening(world.store) as other:
        putting = asyncio.create_task(_put(world, record))
        await one.until(None, exception_key(ID))
        assert await world.exceptions.all() == {ID: record}
        await other.until(None, exception_key(ID))
        await putting


async def test_what_was_refused_is_not_announced(world: World) -> None:
    now = world.now()
    async with listening(world.store) as ear:
        await _put(world, sealed(now))
        await _put(world, sealed(now - 1))
        await _put(world, sealed(now + MAX_AHEAD + 1_000), name="ahead")
        await _put(world, sealed(now), name="late", life=-1)
        await _put(world, sealed(now), name="last")
        await ear.until(None, exception_key(ID), exception_key("last"))


async def test_bytes_that_no_sealer_made_are_a_programming_error(world: World) -> None:
    with pytest.raises(ValueError, match="16 digits"):
        await _put(world, b"12345 no order")
    assert await world.exceptions.all() == {}


async def test_they_are_no_records_of_images(world: World) -> None:
    await _put(world, sealed(world.now()))
    assert await world.store.keys("", limit=10) == []
    assert await world.store.read([exception_key(ID)]) == [None]
