"""Waiting for a record to change: who is woken, and how many wait."""

import asyncio

import pytest

from services.webhook.waiters import Room, Waiters

pytestmark = pytest.mark.virtual_time


async def test_who_waits_for_a_key_is_woken_by_it_and_by_a_gap_and_by_nothing_else() -> None:
    waiters = Waiters()
    with waiters.on(["a", "b"]) as either, waiters.on(["b"]) as other:
        waiters.wake("c")
        assert (either.is_set(), other.is_set()) == (False, False)
        waiters.wake("a")
        assert (either.is_set(), other.is_set()) == (True, False)
        waiters.wake(None)
        assert other.is_set()
    waiters.wake("a")
    waiters.wake(None)


async def test_a_wait_ends_with_the_change_or_with_its_time() -> None:
    room, changed = Room(), asyncio.Event()
    assert not await room.wait(changed, 0.01)
    assert not await room.wait(changed, -1.0)
    changed.set()
    assert await room.wait(changed, 5.0)


async def test_one_review_takes_one_place_whatever_it_waits_for() -> None:
    told: list[int] = []
    room = Room(places=2, on_waiting=told.append)
    review, other = object(), object()
    events = [asyncio.Event() for _ in range(4)]
    waits = [
        asyncio.create_task(room.wait(event, 5.0, who=who))
        for event, who in zip(events, (review, review, review, other), strict=True)
    ]
    await asyncio.sleep(0)
    assert told[-1] == 2
    assert room.full
    assert (room.has_place(review), room.has_place(object())) == (True, False)
    for event in events[:2]:
        event.set()
    await asyncio.gather(*waits[:2])
    assert room.full
    events[2].set()
    assert await waits[2]
    assert (told[-1], room.full, room.has_place(object())) == (1, False, True)
    waits[3].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits[3]
    assert told[-1] == 0


async def test_who_does_not_say_who_it_is_takes_a_place_for_each_wait() -> None:
    room = Room(places=2)
    waits = [asyncio.create_task(room.wait(asyncio.Event(), 0.02)) for _ in range(2)]
    await asyncio.sleep(0)
    assert room.full
    assert await asyncio.gather(*waits) == [False, False]
    assert room.has_place(object())
    assert Room(places=0).full
