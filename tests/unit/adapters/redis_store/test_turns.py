import asyncio

import pytest
from redis.exceptions import ConnectionError, ReadOnlyError

from shared.adapters.redis_store.turns import Turns
from shared.domain.errors import StoreError, StoreRefused, StoreUnreachable

pytestmark = pytest.mark.virtual_time


class Server:
    """Calls that end when they are let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.order: list[int] = []
        self.running = 0
        self.most = 0

    async def work(self, number: int) -> int:
        self.order.append(number)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        return number


def _call(turns: Turns, server: Server, number: int) -> asyncio.Task[int]:
    return asyncio.create_task(turns.call(lambda: server.work(number), doing="work"))


async def test_calls_are_served_in_the_order_they_came_and_never_more_than_the_size_at_once() -> (
    None
):
    turns, server = Turns(size=3, address="here"), Server()
    calls = [_call(turns, server, number) for number in range(50)]
    await asyncio.sleep(0.01)
    assert server.order == [0, 1, 2]
    server.open.set()
    assert await asyncio.gather(*calls) == list(range(50))
    assert server.order == list(range(50))
    assert server.most == 3


async def test_a_call_that_hangs_and_all_who_wait_behind_it_are_told_within_the_limit() -> None:
    turns, server = Turns(size=2, address="here"), Server()
    calls = [_call(turns, server, number) for number in range(20)]
    async with asyncio.timeout(0.5):
        got = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in got} == {StoreUnreachable}
    assert "here" in str(got[0])
    assert server.order == [0, 1]
    await turns.aclose()


async def test_after_a_hang_every_turn_is_there_again() -> None:
    turns, server = Turns(size=2, address="here"), Server()
    calls = [_call(turns, server, number) for number in range(6)]
    await asyncio.gather(*calls, return_exceptions=True)
    server.open.set()
    assert await asyncio.gather(*(_call(turns, server, n) for n in range(10))) == list(range(10))
    await turns.aclose()


async def test_callers_that_go_away_while_they_wait_leave_their_turn_to_others() -> None:
    turns, server = Turns(size=1, address="here"), Server()
    calls = [_call(turns, server, number) for number in range(6)]
    await asyncio.sleep(0.01)
    for call in calls[1:4]:
        call.cancel()
    server.open.set()
    assert await asyncio.gather(calls[0], *calls[4:]) == [0, 4, 5]
    assert server.order == [0, 4, 5]


async def test_a_caller_that_goes_away_when_its_turn_comes_passes_it_on() -> None:
    turns, server = Turns(size=1, address="here"), Server()
    server.open.set()
    first, goes, last = (_call(turns, server, number) for number in range(3))
    first.add_done_callback(lambda _: goes.cancel())
    assert await first == 0
    assert await last == 2
    await asyncio.wait({goes})
    assert await _call(turns, server, 3) == 3


async def test_a_caller_that_goes_away_leaves_its_call_to_end_by_itself() -> None:
    turns, server = Turns(size=1, address="here"), Server()
    call = _call(turns, server, 1)
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait({call})
    assert server.running == 1
    server.open.set()
    assert await _call(turns, server, 2) == 2
    assert server.running == 0


async def test_what_a_call_raises_is_said_in_our_words_with_its_cause() -> None:
    turns = Turns(size=1, address="here")

    async def refuse() -> None:
        raise ReadOnlyError("replica")

    async def cut() -> None:
        raise ConnectionError("cut")

    with pytest.raises(StoreRefused, match="cannot put a, Redis at here: replica") as raised:
        await turns.call(refuse, doing="put a")
    assert isinstance(raised.value.__cause__, ReadOnlyError)
    with pytest.raises(StoreUnreachable, match="cut"):
        await turns.call(cut, doing="put a")


async def test_a_program_error_is_not_taken_for_the_servers() -> None:
    turns = Turns(size=1, address="here")

    async def wrong() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await turns.call(wrong, doing="put a")


async def test_a_server_that_answers_slowly_to_too_many_is_our_own_overload() -> None:
    turns = Turns(size=1, address="here", patience=0.6)

    async def slow() -> None:
        await asyncio.sleep(0.04)

    calls = [asyncio.create_task(turns.call(slow, doing="work")) for _ in range(40)]
    got = await asyncio.gather(*calls, return_exceptions=True)
    assert got[:2] == [None] * 2
    assert type(got[-1]) is StoreError
    assert "overloaded" in str(got[-1])


async def test_closing_ends_what_runs_and_what_waits_even_if_a_cancellation_is_swallowed() -> None:
    turns = Turns(size=1, address="here")

    async def stubborn() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(10)

    calls = [asyncio.create_task(turns.call(stubborn, doing="work")) for _ in range(3)]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        await turns.aclose()
        got = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(one) for one in got} == {StoreUnreachable}
