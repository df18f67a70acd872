"""Calls a second to Anchore: never more, in their order, and nobody waits in vain for long."""

import asyncio

import pytest

from shared.adapters.anchore.calls_bucket import CallsBucket
from tests.fakes.virtual_time import in_virtual_time


def times(number: int, *, rate: float, within: float = 60.0) -> list[float | None]:
    """When so many that come at once have their turns, in the order in which they came."""

    async def one(bucket: CallsBucket) -> float | None:
        came = await bucket.take(within=within)
        return asyncio.get_running_loop().time() if came else None

    async def all_of_them() -> list[float | None]:
        bucket = CallsBucket(rate=rate)
        return await asyncio.gather(*(one(bucket) for _ in range(number)))

    return in_virtual_time(all_of_them())


def test_a_seconds_worth_goes_at_once_and_then_each_in_its_turn() -> None:
    assert times(25, rate=10) == pytest.approx([0] * 10 + [each / 10 for each in range(1, 16)])


def test_a_rate_below_one_a_second_lets_one_go_at_once() -> None:
    assert times(3, rate=0.5) == pytest.approx([0, 2, 4])


def test_who_would_wait_too_long_is_told_and_the_others_are_served_in_their_order() -> None:
    had = times(100, rate=10, within=1.95)
    assert had[:29] == pytest.approx([0] * 10 + [each / 10 for each in range(1, 20)])
    assert had[29:] == [None] * 71


def test_who_stands_too_far_back_is_told_at_once() -> None:
    async def last() -> float:
        bucket = CallsBucket(rate=10)
        waiting = [asyncio.create_task(bucket.take(within=2)) for _ in range(50)]
        await asyncio.sleep(0)
        assert not await bucket.take(within=2)
        now = asyncio.get_running_loop().time()
        await asyncio.gather(*waiting)
        return now

    assert in_virtual_time(last()) == 0


def test_who_gives_up_takes_nobodys_turn() -> None:
    async def second() -> float:
        bucket = CallsBucket(rate=1)
        await bucket.take(within=1)
        leaves = asyncio.create_task(bucket.take(within=60))
        stays = asyncio.create_task(bucket.take(within=60))
        await asyncio.sleep(0.5)
        leaves.cancel()
        assert await stays
        return asyncio.get_running_loop().time()

    assert in_virtual_time(second()) == pytest.approx(1)


def test_time_in_which_nobody_calls_saves_up_a_seconds_worth_and_no_more() -> None:
    async def after_an_hour() -> list[float]:
        loop, bucket = asyncio.get_running_loop(), CallsBucket(rate=5)
        await asyncio.sleep(3_600)
        had = []
        for _ in range(7):
            await bucket.take(within=60)
            had.append(loop.time() - 3_600)
        return had

    assert in_virtual_time(after_an_hour()) == pytest.approx([0] * 5 + [0.2, 0.4])
