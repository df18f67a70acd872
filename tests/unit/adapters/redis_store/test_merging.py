import asyncio

import pytest

from shared.adapters.redis_store.merging import MAX_KEYS, MergedReads
from shared.domain.errors import StoreError, StoreMisconfigured, StoreUnreachable

pytestmark = pytest.mark.virtual_time


class Server:
    """Answers each key with itself, when it is let; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[bytes]] = []
        self.errors: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = 0

    async def fetch(self, keys: list[bytes]) -> list[bytes | None]:
        self.asked.append(keys)
        self.at_once += 1
        assert self.at_once == 1
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self.errors:
            raise self.errors.pop(0)
        return [b"record of " + key for key in keys]


def _keys(start: int, count: int) -> list[bytes]:
    return [f"{n}".encode() for n in range(start, start + count)]


def _records(keys: list[bytes]) -> list[bytes | None]:
    return [b"record of " + key for key in keys]


async def test_reads_of_one_turn_of_the_loop_share_one_fetch_and_each_key_is_asked_once() -> None:
    server = Server()
    reads = MergedReads(fetch=server.fetch)
    found = await asyncio.gather(*(reads.read(_keys(n, 3)) for n in range(10)))
    assert found == [_records(_keys(n, 3)) for n in range(10)]
    assert server.asked == [_keys(0, 12)]


async def test_what_comes_during_a_fetch_shares_the_next_one() -> None:
    server = Server()
    server.open.clear()
    reads = MergedReads(fetch=server.fetch)
    first = asyncio.create_task(reads.read([b"first"]))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(reads.read([b"%d" % n])) for n in range(5)]
    await asyncio.sleep(0.01)
    server.open.set()
    await asyncio.gather(first, *others)
    assert server.asked == [[b"first"], _keys(0, 5)]


async def test_no_fetch_asks_for_more_keys_than_the_bound() -> None:
    server = Server()
    reads = MergedReads(fetch=server.fetch)
    found = await asyncio.gather(*(reads.read(_keys(n * 100, 100)) for n in range(8)))
    assert found == [_records(_keys(n * 100, 100)) for n in range(8)]
    assert all(len(keys) <= MAX_KEYS for keys in server.asked)
    assert [key for keys in server.asked for key in keys] == _keys(0, 800)


async def test_one_read_above_the_bound_is_cut_into_several_fetches() -> None:
    server = Server()
    reads = MergedReads(fetch=server.fetch)
    keys = _keys(0, 2 * MAX_KEYS + 1)
    assert await reads.read(keys) == _records(keys)
    assert [len(asked) for asked in server.asked] == [MAX_KEYS, MAX_KEYS, 1]


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    server = Server()
    server.open.clear()
    reads = MergedReads(fetch=server.fetch)
    stays, goes = (asyncio.create_task(reads.read([key])) for key in (b"stays", b"goes"))
    await asyncio.sleep(0.01)
    goes.cancel()
    await asyncio.wait({goes})
    server.open.set()
    assert await stays == [b"record of stays"]


async def test_for_a_caller_that_went_before_its_turn_nothing_is_fetched() -> None:
    server = Server()
    server.open.clear()
    reads = MergedReads(fetch=server.fetch)
    first = asyncio.create_task(reads.read([b"first"]))
    await asyncio.sleep(0.01)
    goes = asyncio.create_task(reads.read([b"goes"]))
    await asyncio.sleep(0.01)
    goes.cancel()
    server.open.set()
    await first
    await asyncio.sleep(0.01)
    assert server.asked == [[b"first"]]


async def test_each_caller_gets_an_error_of_its_own() -> None:
    server = Server()
    cause = OSError("cut")
    error = StoreMisconfigured("no rights")
    error.__cause__ = cause
    server.errors = [error]
    reads = MergedReads(fetch=server.fetch)
    got = await asyncio.gather(*(reads.read([b"key"]) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in got] == [StoreMisconfigured] * 3
    assert len({id(one) for one in got}) == 3
    assert all(
        isinstance(one, StoreMisconfigured) and one.args == error.args and one.__cause__ is cause
        for one in got
    )


async def test_who_waits_behind_a_server_that_is_away_is_told_at_once() -> None:
    server = Server()
    server.open.clear()
    server.errors = [StoreUnreachable("hung")]
    reads = MergedReads(fetch=server.fetch)
    calls = [asyncio.create_task(reads.read([b"first"]))]
    await asyncio.sleep(0.01)
    calls += [asyncio.create_task(reads.read(_keys(n * 200, 200))) for n in range(5)]
    await asyncio.sleep(0.01)
    server.open.set()
    got = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in got] == [StoreUnreachable] * 6
    assert server.asked == [[b"first"]]
    assert await reads.read([b"next"]) == [b"record of next"]


async def test_an_error_that_is_not_the_servers_absence_hits_only_its_own_round() -> None:
    server = Server()
    server.open.clear()
    server.errors = [StoreError("strange")]
    reads = MergedReads(fetch=server.fetch)
    first = asyncio.create_task(reads.read([b"first"]))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(reads.read([b"second"]))
    await asyncio.sleep(0.01)
    server.open.set()
    with pytest.raises(StoreError, match="strange"):
        await first
    assert await second == [b"record of second"]


async def test_a_failure_that_nobody_foresaw_leaves_nobody_waiting() -> None:
    server = Server()
    server.errors = [ValueError("a mistake")]
    reads = MergedReads(fetch=server.fetch)
    async with asyncio.timeout(5):
        with pytest.raises(StoreError, match="a mistake"):
            await reads.read([b"a"])
        assert await reads.read([b"a"]) == _records([b"a"])
    await reads.aclose()


async def test_closing_tells_everybody_who_waits() -> None:
    server = Server()
    server.open.clear()
    reads = MergedReads(fetch=server.fetch)
    first = asyncio.create_task(reads.read([b"first"]))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(reads.read([b"second"]))
    await asyncio.sleep(0.01)
    await reads.aclose()
    third = reads.read([b"third"])
    got = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [type(one) for one in got] == [StoreUnreachable] * 3


async def test_closing_before_the_first_fetch_tells_everybody_too() -> None:
    reads = MergedReads(fetch=Server().fetch)
    read = asyncio.create_task(reads.read([b"key"]))
    await asyncio.sleep(0)
    await reads.aclose()
    with pytest.raises(StoreUnreachable, match="closed"):
        await read
