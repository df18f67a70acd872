"""The polling budget of all workers: one bucket, whoever takes from it."""

import asyncio
import time

import pytest

from shared.domain.step import Lane
from shared.ports.polls import Polls, Turn, most_saved
from tests.contract.stores import MINUTE, World

DUST = 0.001
"""Of a turn: both count in fractions of one."""


async def granted(polls: Polls, times: int, *, rate: float) -> int:
    """How many of so many wishes, one after another, were granted."""
    turns = [await polls.take(rate=rate) for _ in range(times)]
    return sum(turn.granted for turn in turns)


async def refused(polls: Polls, *, rate: float, spare: float = 0.0) -> Turn:
    """The first wish that was not granted: a busy machine takes so long that turns come back."""
    while (turn := await polls.take(rate=rate, spare=spare)).granted:
        assert turn.left > spare - DUST
    return turn


async def test_a_bucket_that_nobody_touched_is_full(world: World) -> None:
    turn = await world.polls[0].take(rate=20)
    assert turn.granted
    assert turn.wait == 0
    assert turn.left == pytest.approx(19, abs=0.5)


async def test_what_is_taken_by_one_worker_is_gone_for_the_other(world: World) -> None:
    one, other = world.polls
    # So slow that nothing comes back meanwhile.
    assert await granted(one, 1, rate=0.001) == 1
    assert await granted(other, 3, rate=0.001) == 0
    assert await granted(one, 3, rate=0.001) == 0


async def test_two_workers_at_once_get_no_more_than_the_rate_together(world: World) -> None:
    rate = 40.0
    started = time.monotonic()

    async def worker(polls: Polls) -> int:
        taken = 0
        for _ in range(10):
            taken += sum(
                turn.granted
                for turn in await asyncio.gather(*(polls.take(rate=rate) for _ in range(10)))
            )
            await world.passes(100)
        return taken

    taken = sum(await asyncio.gather(*(worker(polls) for polls in world.polls)))
    passed = 2.0 if world.clock else time.monotonic() - started
    assert rate <= taken <= rate * passed + most_saved(rate)


async def test_who_waits_as_long_as_he_is_told_has_his_turn(world: World) -> None:
    polls, _ = world.polls
    told = await refused(polls, rate=5)
    assert 0 < told.wait <= 200
    await world.passes(told.wait)
    assert (await polls.take(rate=5)).granted


async def test_time_in_which_nobody_asks_fills_it_with_a_seconds_worth_and_no_more(
    world: World,
) -> None:
    polls, _ = world.polls
    await granted(polls, 4, rate=4)
    await world.passes(2_500)
    turns = [await polls.take(rate=4) for _ in range(4)]
    assert all(turn.granted for turn in turns)
    assert turns[0].left < 3.5


async def test_a_rate_below_one_a_second_saves_up_for_a_whole_turn(world: World) -> None:
    polls, _ = world.polls
    assert await granted(polls, 2, rate=0.05) == 1
    assert 10_000 < (await polls.take(rate=0.05)).wait <= 20_000


async def test_who_must_leave_something_gets_nothing_of_it(world: World) -> None:
    one, other = world.polls
    told = await refused(one, rate=10, spare=5)
    assert 5 - DUST < told.left < 6
    assert told.wait > 0
    # 10 a second come back meanwhile: so slow a bucket of ten there is not.
    assert (await refused(other, rate=10, spare=9)).wait > 0
    assert (await other.take(rate=10)).granted


async def test_who_is_refused_for_what_he_must_leave_takes_nothing(world: World) -> None:
    one, other = world.polls
    for _ in range(20):
        assert not (await one.take(rate=0.001, spare=1)).granted
    assert (await other.take(rate=0.001)).granted


async def test_scans_under_way_are_told_and_those_for_people_apart(world: World) -> None:
    polls, _ = world.polls
    assert _counts(await polls.take(rate=20)) == (0, 0)
    await _hold(world, "a", Lane.CHECK)
    await _hold(world, "b", Lane.CHECK_PREWARM)
    await _hold(world, "c", Lane.CHECK_PREWARM)
    assert _counts(await polls.take(rate=20)) == (3, 1)
    await world.leases.release("scan:a", chain="a")
    assert _counts(await polls.take(rate=20)) == (2, 0)


async def test_a_scan_whose_record_has_ended_is_under_way_no_more(world: World) -> None:
    polls, _ = world.polls
    await _hold(world, "a", Lane.CHECK, life=200)
    await _hold(world, "b", Lane.CHECK)
    await world.passes(200)
    assert _counts(await polls.take(rate=20)) == (1, 1)


async def test_who_is_refused_is_told_how_many_are_under_way_too(world: World) -> None:
    polls, _ = world.polls
    await _hold(world, "a", Lane.CHECK)
    await granted(polls, 1, rate=0.001)
    turn = await polls.take(rate=0.001)
    assert (turn.granted, _counts(turn)) == (False, (1, 1))


async def _hold(world: World, name: str, lane: Lane, *, life: int = MINUTE) -> None:
    await world.leases.hold(
        f"scan:{name}", chain=name, hop=0, life=life, lane=lane, first_seen=world.now()
    )


def _counts(turn: Turn) -> tuple[int, int]:
    return turn.under_way, turn.for_people
