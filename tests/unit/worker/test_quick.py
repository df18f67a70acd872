"""Quick looks: when a step looks again inside itself, and what that may cost others."""

import asyncio
from collections import Counter

import pytest

from services.worker.budget import Poll, PollBudget
from services.worker.pausing import pause_unless
from services.worker.quick import (
    AT_A_TIME,
    FORGET,
    MEASURED,
    PAUSE,
    SOON,
    YOUNG,
    LastAnalyses,
    QuickLooks,
)
from shared.adapters.memory.polls import MemoryPolls
from shared.domain.errors import TransientFailure
from shared.domain.step import Lane
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.virtual_time

PLACES = 2


class Rig:
    """Quick looks on a clock that a pause advances; an analysis that ends when a test says."""

    def __init__(self, *, rate: float = 20.0) -> None:
        self.clock = FakeClock()
        self.began = self.clock.monotonic()
        self.polls: list[Poll] = []
        self.looked_at: list[float] = []
        self.done_at = 1e9
        self.look_takes = 0.0
        self.goes_on = True
        self.budget = PollBudget(
            polls=MemoryPolls(clock=self.clock, under_way=Counter),
            rate=rate,
            clock=self.clock,
            pause=self.pause,
            patience=0,
            on_poll=self.polls.append,
        )
        self.quick = QuickLooks(
            budget=self.budget, clock=self.clock, pause=self.pause, places={Lane.CHECK: PLACES}
        )

    async def pause(self, seconds: float) -> bool:
        if self.goes_on:
            self.clock.advance(round(1000 * seconds))
        return self.goes_on

    async def look(self) -> bool:
        self.clock.advance(round(1000 * self.look_takes))
        self.looked_at.append(round(self.age(), 3))
        return self.age() >= self.done_at

    def age(self) -> float:
        return self.clock.monotonic() - self.began

    async def looks(self, lane: Lane = Lane.CHECK) -> bool:
        return await self.quick.looks(self.look, lane=lane, age=self.age)


@pytest.mark.parametrize("done_at", [0.0, 0.1, 0.35, 0.79])
async def test_an_analysis_that_ends_within_the_step_is_seen_a_pause_later_at_most(
    done_at: float,
) -> None:
    rig = Rig()
    rig.done_at = done_at
    assert await rig.looks()
    assert rig.age() - done_at <= PAUSE


async def test_a_step_looks_for_a_second_and_leaves_the_rest_to_the_next() -> None:
    rig = Rig()
    assert not await rig.looks()
    assert rig.looked_at == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert rig.age() == pytest.approx(AT_A_TIME)
    assert rig.quick.worth(Lane.CHECK, rig.age())


async def test_each_quick_look_is_paid_for() -> None:
    rig = Rig()
    await rig.looks()
    assert rig.polls == [Poll.QUICK] * 4


async def test_a_scanner_that_is_slow_to_answer_is_asked_once() -> None:
    rig = Rig()
    rig.look_takes = 1.5
    assert not await rig.looks()
    assert len(rig.looked_at) == 1


async def test_an_analysis_that_is_not_young_any_more_is_looked_at_once() -> None:
    rig = Rig()
    rig.clock.advance(round(1000 * YOUNG))
    assert not await rig.looks()
    assert len(rig.looked_at) == 1
    assert not rig.quick.worth(Lane.CHECK, rig.age())


async def test_a_lane_without_places_is_never_held() -> None:
    rig = Rig()
    assert not await rig.looks(Lane.CHECK_PREWARM)
    assert len(rig.looked_at) == 1
    assert not rig.quick.worth(Lane.CHECK_PREWARM, 0.0)


async def test_half_of_the_polling_budget_is_kept_for_ordinary_checks() -> None:
    rig = Rig(rate=20.0)
    for _ in range(9):
        assert not await rig.budget.take(Lane.CHECK)
    assert rig.quick.worth(Lane.CHECK, 0.0)
    assert await rig.budget.take_spare()
    assert not rig.quick.worth(Lane.CHECK, 0.0)
    assert not await rig.budget.take_spare()
    had = [not await rig.budget.take(Lane.CHECK) for _ in range(11)]
    assert had == [True] * 10 + [False]


async def test_a_small_budget_has_nothing_to_spare() -> None:
    rig = Rig(rate=0.5)
    rig.clock.advance(10_000)
    assert not rig.quick.worth(Lane.CHECK, 0.0)
    assert not await rig.budget.take(Lane.CHECK)


async def test_a_step_whose_budget_is_used_up_meanwhile_ends_and_the_next_waits_the_ladder() -> (
    None
):
    rig = Rig(rate=4.0)
    assert not await rig.looks()
    taken = rig.polls.count(Poll.QUICK)
    assert 0 < taken < 4
    assert not rig.quick.worth(Lane.CHECK, rig.age())


async def test_no_more_steps_look_quickly_than_there_are_places() -> None:
    rig = Rig()
    waiting = asyncio.Event()
    at_once = most = 0

    async def pause(seconds: float) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await waiting.wait()
        at_once -= 1
        return False

    quick = QuickLooks(budget=rig.budget, clock=rig.clock, pause=pause, places={Lane.CHECK: PLACES})
    steps = [
        asyncio.create_task(quick.looks(rig.look, lane=Lane.CHECK, age=rig.age)) for _ in range(9)
    ]
    await asyncio.sleep(0)
    assert not quick.worth(Lane.CHECK, 0.0)
    waiting.set()
    assert await asyncio.gather(*steps) == [False] * 9
    assert most == PLACES
    assert quick.worth(Lane.CHECK, 0.0)


async def test_a_look_that_fails_gives_its_place_back() -> None:
    rig = Rig()
    first = True

    async def look() -> bool:
        nonlocal first
        if not first:
            raise TransientFailure("away")
        first = False
        return False

    for _ in range(PLACES + 1):
        first = True
        with pytest.raises(TransientFailure):
            await rig.quick.looks(look, lane=Lane.CHECK, age=rig.age)
    assert rig.quick.worth(Lane.CHECK, 0.0)


async def test_a_process_that_is_to_stop_looks_no_more() -> None:
    rig = Rig()
    rig.goes_on = False
    assert not await rig.looks()
    assert len(rig.looked_at) == 1


async def test_a_drain_ends_a_pause_at_once() -> None:
    stopping = asyncio.Event()
    pause = pause_unless(stopping)
    assert await pause(0.01)
    pausing = asyncio.ensure_future(pause(60))
    await asyncio.sleep(0)
    stopping.set()
    async with asyncio.timeout(5):
        assert not await pausing
        assert not await pause(60)


def measured(*seconds: float) -> tuple[FakeClock, LastAnalyses]:
    clock = FakeClock()
    analyses = LastAnalyses(clock=clock)
    for one in seconds:
        analyses.ended(one)
    return clock, analyses


@pytest.mark.parametrize(
    ("seconds", "soon"),
    [
        ([], True),
        ([0.5], True),
        ([SOON + 1], False),
        ([0.5, 0.5, 300.0], True),
        ([0.5, 300.0, 300.0], False),
        ([0.5] * MEASURED + [300.0] * (MEASURED - 1), False),
    ],
)
def test_the_middle_of_the_last_analyses_says_whether_the_next_ends_soon(
    seconds: list[float], soon: bool
) -> None:
    _, analyses = measured(*seconds)
    assert analyses.end_soon is soon


def test_what_was_measured_long_ago_says_nothing_any_more() -> None:
    clock, analyses = measured(300.0)
    clock.advance(round(1000 * FORGET))
    assert not analyses.end_soon
    clock.advance(1)
    assert analyses.end_soon


async def test_where_analyses_take_long_nothing_is_looked_at_quickly() -> None:
    rig = Rig()
    rig.quick.analyses.ended(60.0)
    assert not await rig.looks()
    assert len(rig.looked_at) == 1
    assert not rig.quick.worth(Lane.CHECK, 0.0)
