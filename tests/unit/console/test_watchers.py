import asyncio
import json
from contextlib import ExitStack

import pytest

from services.console.watchers import (
    AGAIN,
    MAX_WAITING,
    MAX_WATCHERS,
    STILL_HERE,
    TooManyWatchers,
    Watcher,
    Watchers,
    event,
)

pytestmark = pytest.mark.virtual_time


async def told(watcher: Watcher) -> list[bytes]:
    """All that can be sent now."""
    sent: list[bytes] = []
    while True:
        try:
            async with asyncio.timeout(0.02):
                what = await watcher.next()
        except TimeoutError:
            return sent
        if what is None:
            return [*sent, b"(end)"]
        sent.append(what)


@pytest.fixture
def counts() -> list[int]:
    return []


@pytest.fixture
def watchers(counts: list[int]) -> Watchers:
    return Watchers(on_change=counts.append)


def test_an_event_is_one_line_of_json_whatever_is_in_it() -> None:
    text = "a\nb\r\nc\u2028d\x00\n\ndata: {}"
    name, data, *rest = event("trouble", {"store": text}).decode().split("\n")
    assert name == "event: trouble"
    assert json.loads(data.removeprefix("data: ")) == {"store": text}
    assert rest == ["", ""]


async def test_a_watcher_is_told_what_is_first_and_then_what_happens(watchers: Watchers) -> None:
    with watchers.one_more([b"history"]) as watcher:
        watchers.tell(b"sample 1")
        watchers.tell(b"sample 2")
        assert await told(watcher) == [AGAIN, b"history", b"sample 1", b"sample 2"]


async def test_all_who_watch_are_told_and_they_are_counted(
    watchers: Watchers, counts: list[int]
) -> None:
    with watchers.one_more([]) as one, watchers.one_more([]) as other:
        watchers.tell(b"x")
        assert await told(one) == await told(other) == [AGAIN, b"x"]
    assert counts == [1, 2, 1, 0]
    assert len(watchers) == 0


async def test_who_does_not_keep_up_is_let_go_and_nothing_is_kept_for_him(
    watchers: Watchers,
) -> None:
    with watchers.one_more([]) as slow, watchers.one_more([]) as quick:
        for number in range(MAX_WAITING):
            watchers.tell(b"%d" % number)
            await told(quick)
        assert await told(slow) == [b"(end)"]
        watchers.tell(b"later")
        assert await told(quick) == [b"later"]
        assert await told(slow) == [b"(end)"]


async def test_silence_is_broken_by_a_comment() -> None:
    watcher = Watcher([], keep_alive=0.01)
    assert [await watcher.next() for _ in range(3)] == [AGAIN, STILL_HERE, STILL_HERE]


async def test_who_waits_is_woken_by_news_and_by_the_end(watchers: Watchers) -> None:
    with watchers.one_more([]) as watcher:
        await watcher.next()
        waiting = asyncio.create_task(watcher.next())
        await asyncio.sleep(0)
        watchers.tell(b"news")
        assert await waiting == b"news"
        waiting = asyncio.create_task(watcher.next())
        await asyncio.sleep(0)
        watchers.end()
        assert await waiting is None


async def test_who_comes_after_the_end_is_told_so(watchers: Watchers) -> None:
    watchers.end()
    with watchers.one_more([b"history"]) as watcher:
        assert await watcher.next() is None


async def test_one_too_many_is_refused_until_another_goes(watchers: Watchers) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_WATCHERS - 1):
            stack.enter_context(watchers.one_more([]))
        with watchers.one_more([]), pytest.raises(TooManyWatchers, match="64 watch"):
            stack.enter_context(watchers.one_more([]))
        with watchers.one_more([]) as watcher:
            assert await watcher.next() == AGAIN
