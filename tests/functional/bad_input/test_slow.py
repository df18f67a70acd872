"""Whoever sends slowly, or goes away, or never ends: given up, and nobody else waits for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from tests.functional.bad_input.conftest import (
    GOOD,
    JSON,
    KNOWN,
    PATIENCE,
    Caller,
    Raw,
    connection,
    peak_mib,
    request,
)
from tests.house import House, pod, review_of
from tests.waiting import eventually

MIB = 2**20
Doing = Callable[[Raw, int], Awaitable[None]]


async def on_a_connection(home: House, doing: Doing, number: int) -> None:
    async with connection(home) as raw:
        await doing(raw, number)


async def test_a_body_that_comes_too_slowly(caller: Caller) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.5)

    async with asyncio.timeout(PATIENCE):
        try:
            url = f"{caller.home.sites.reviews.url}{caller.path}"
            async with caller.home.session.post(url, data=slow(), headers=JSON) as answer:
                assert answer.status == 408
        except aiohttp.ClientConnectionError:
            pass  # it hung up on us while we were still sending


async def test_slow_bodies_and_heads_that_never_end_keep_nobody_waiting(caller: Caller) -> None:
    whole = request(GOOD, caller.path)
    peak = peak_mib()
    slow: set[int] = set()

    async def dribble(raw: Raw, number: int) -> None:
        slow.add(number)
        unfinished = whole[:-5] if number % 2 else whole[:40]
        pieces = [unfinished[at : at + 20] for at in range(0, len(unfinished), 20)]
        await raw.send(*pieces, pause=0.02)
        if number % 2:
            assert (await raw.answer())[0] == 408
            assert await raw.closed()
        slow.remove(number)

    answered_beside = 0
    async with asyncio.timeout(3 * PATIENCE), asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(on_a_connection(caller.home, dribble, number))
        for _ in range(20):
            await asyncio.sleep(0.1)
            began_beside = slow.copy()
            assert (await caller.good()).allowed
            answered_beside += bool(began_beside & slow)
    assert answered_beside
    # Each connection has two buffers of 256 KiB for its TLS, one of them the client's.
    assert peak_mib() - peak < 96
    assert caller.lines == []


async def test_clients_that_go_away_in_the_middle(caller: Caller) -> None:
    whole = request(GOOD, caller.path)
    for length in range(0, len(whole) + 1, 40):
        async with connection(caller.home) as raw:
            await raw.send(whole[:length])
    assert (await caller.good()).allowed
    assert caller.lines == []


async def test_many_strangers_with_large_unfinished_reviews_fill_no_memory(home: House) -> None:
    large = 7 * MIB
    head = (
        "POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {large}\r\n\r\n"
    ).encode()
    pieces = [head, *[b" " * 65_536] * (large // 65_536 - 1)]

    async def stay(raw: Raw, _: int) -> None:
        await raw.send(*pieces)
        await raw.closed()

    peak = peak_mib()
    async with asyncio.TaskGroup() as group:
        strangers = [group.create_task(on_a_connection(home, stay, n)) for n in range(60)]

        async def full() -> bool:
            return (await home.post(b" " * MIB)).http == 503

        await eventually(full)
        assert (await home.review(KNOWN)).allowed
        await asyncio.sleep(1)
        for stranger in strangers:
            stranger.cancel()
    assert peak_mib() - peak < 192
    review = review_of(pod(KNOWN, more={"nodeName": "n" * MIB}))
    await home.asked_until(review, lambda answer: answer.http == 200)
