"""The observer over in-process adapters."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from services.console.observer import IDLE, LAST_DECISIONS, Observer
from services.console.samples import Sample
from services.console.watchers import Watcher
from shared.domain.step import Lane
from tests.unit.console.world import Claims, World
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

EVERY = 0.02


class Event(msgspec.Struct, frozen=True):
    name: str
    data: Any


class Observed:
    """An observer at work, and what it told of its looks."""

    def __init__(self, world: World, *, a_look_takes: int = 0) -> None:
        """`a_look_takes` milliseconds on the world's clock."""
        self._clock, self._a_look_takes = world.clock, a_look_takes
        self.looks: list[tuple[Sample, dict[str, str]]] = []
        self.watching: list[int] = []
        self.observer = Observer(
            ops=world.ops(),
            clock=world.clock,
            every=EVERY,
            on_look=self._looked,
            on_watching=self.watching.append,
        )

    def _looked(self, sample: Sample, trouble: dict[str, str]) -> None:
        self.looks.append((sample, trouble))
        self._clock.advance(self._a_look_takes)

    async def looked(self) -> None:
        """The next look is over; two, since one may be under way. Sooner than while it rests."""
        before = len(self.looks)
        await eventually(lambda: len(self.looks) >= before + 2, within=0.7 * IDLE)


@asynccontextmanager
async def at_work(observed: Observed) -> AsyncIterator[Observed]:
    task = asyncio.create_task(observed.observer.run())
    try:
        await eventually(lambda: bool(observed.looks))
        yield observed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def events(watcher: Watcher, *names: str) -> AsyncIterator[Event]:
    """What a watcher is told, of these names."""
    while (what := await watcher.next()) is not None:
        if what.startswith(b"event: "):
            name, data = what.decode().strip().split("\n")
            named = name.removeprefix("event: ")
            if not names or named in names:
                yield Event(named, json.loads(data.removeprefix("data: ")))


async def test_a_new_watcher_is_told_the_past_and_then_each_look(world: World) -> None:
    await world.decided("a")
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching() as watcher:
            all_events = events(watcher)
            told = [await anext(all_events) for _ in range(5)]
    assert [event.name for event in told] == [
        "history",
        "decisions",
        "trouble",
        "sample",
        "sample",
    ]
    history, decisions, trouble, sample, _ = (event.data for event in told)
    assert history["at"] == [world.clock.now()]
    assert history["every"] == EVERY
    assert [one["decision"]["name"] for one in decisions] == ["a"]
    assert trouble == {}
    assert {lane["lane"] for lane in sample["queue"]["lanes"]} == set(Lane)


async def test_decisions_are_told_once_and_the_newest_first(world: World) -> None:
    await world.decided("old")
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching() as watcher:
            told = events(watcher, "decisions")
            first = await anext(told)
            await world.decided("b", "c")
            second = await anext(told)
            await world.decided("d")
            third = await anext(told)
    names = [[one["decision"]["name"] for one in event.data] for event in (first, second, third)]
    assert names == [["old"], ["c", "b"], ["d"]]


async def test_the_last_decisions_are_kept_for_who_comes_later(world: World) -> None:
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching():
            for number in range(LAST_DECISIONS + 20):
                await world.decided(str(number))
                if number % 40 == 0:
                    await observed.looked()
            await observed.looked()
        with observed.observer.watching() as watcher:
            told = await anext(events(watcher, "decisions"))
    assert [one["decision"]["name"] for one in told.data] == [
        str(number) for number in range(LAST_DECISIONS + 19, 19, -1)
    ]


async def test_trouble_is_told_when_it_comes_and_when_it_goes(world: World) -> None:
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching() as watcher:
            told = events(watcher, "trouble")
            assert (await anext(told)).data == {}
            world.broker_away("no\nrabbit")
            assert (await anext(told)).data == {"queue": "no\\nrabbit"}
            world.store_away("no redis")
            assert (await anext(told)).data == {"queue": "no\\nrabbit", "store": "no redis"}
            world.broker_away("")
            world.store_away("")
            # One look may meet the one without the other.
            data = [(await anext(told)).data]
            while data[-1]:
                data.append((await anext(told)).data)


async def test_each_side_is_shown_without_the_other(world: World) -> None:
    await world.beat("w")
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching():
            world.broker_away("no rabbit")
            await observed.looked()
            without_broker = observed.looks[-1][0]
            world.broker_away("")
            world.store_away("no redis")
            await observed.looked()
            without_store = observed.looks[-1][0]
    assert without_broker.queue is None
    assert without_broker.processes
    assert without_broker.rates is not None
    assert without_store.queue is not None
    assert (without_store.processes, without_store.rates) == (None, None)


async def test_rates_come_of_the_workers_counters(world: World) -> None:
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching():
            await world.beat("w", delivered={Lane.CHECK: 0})
            await observed.looked()
            world.clock.advance(2_000)
            await world.beat("w", delivered={Lane.CHECK: 12})
            await observed.looked()
    rates = observed.looks[-1][0].rates
    assert rates is not None
    assert (rates[Lane.CHECK], rates[Lane.RESOLVE]) == (6.0, 0.0)


async def test_it_rests_while_nobody_watches_and_a_first_watcher_wakes_it(world: World) -> None:
    async with at_work(Observed(world)) as observed:
        await asyncio.sleep(10 * EVERY)
        assert len(observed.looks) == 1
        with observed.observer.watching():
            await observed.looked()
        assert observed.watching == [1, 0]


async def test_it_does_not_rest_while_something_does_not_answer(world: World) -> None:
    world.broker_away("not connected yet")
    async with at_work(Observed(world)) as observed:
        await observed.looked()
        world.broker_away("")
        await eventually(lambda: observed.looks[-1][0].queue is not None)


async def test_one_look_serves_all_who_watch(world: World) -> None:
    async with at_work(Observed(world, a_look_takes=1_000)) as observed:
        with observed.observer.watching() as one, observed.observer.watching() as other:
            seen = [
                [(await anext(told)).data["at"] for _ in range(5)]
                for told in (events(one, "sample"), events(other, "sample"))
            ]
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 5


class Fickle(Claims):
    """Fails in a way that nobody foresaw, while it is `broken`."""

    broken = True

    async def oldest(self) -> dict[Lane, int]:
        if self.broken:
            raise ZeroDivisionError("who would have thought")
        return await super().oldest()


async def test_a_mistake_of_ours_is_logged_and_costs_a_look_not_the_process(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    claims = Fickle(clock=world.clock, leases=world.leases)
    world.claims = claims
    observed = Observed(world)
    task = asyncio.create_task(observed.observer.run())
    await eventually(lambda: "the console could not look" in caplog.text)
    claims.broken = False
    with observed.observer.watching() as watcher:
        assert (await anext(events(watcher, "sample"))).data["queue"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "who would have thought" in caplog.text


async def test_the_end_ends_every_watcher(world: World) -> None:
    async with at_work(Observed(world)) as observed:
        with observed.observer.watching() as watcher:
            observed.observer.end()
            assert await watcher.next() is None
