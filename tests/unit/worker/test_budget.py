"""The polling budget: who has a turn, who waits, who comes again later, and how that adds up."""

import asyncio
import statistics
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from services.worker.budget import Poll, PollBudget
from services.worker.pausing import pause_unless
from shared.adapters.memory.polls import MemoryPolls
from shared.domain.errors import StoreUnreachable
from shared.domain.retry import DELAYS, luck_of, poll_delay, spread_delay
from shared.domain.step import Lane
from shared.ports.polls import Turn
from tests.fakes.clock import FakeClock
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

PEOPLE, PREWARM = Lane.CHECK, Lane.CHECK_PREWARM
RATE = 20.0


class Bucket(MemoryPolls):
    """The workers' bucket, which counts how often it is asked, and may be away."""

    asked = 0
    away = False

    async def take(self, *, rate: float, spare: float = 0.0) -> Turn:
        self.asked += 1
        if self.away:
            raise StoreUnreachable("away")
        return await super().take(rate=rate, spare=spare)


class Rig:
    """A budget on a clock that its pauses advance, and how many scans are under way."""

    def __init__(self, *, rate: float = RATE, patience: float = 1.0) -> None:
        self.clock = FakeClock()
        self.scans: Counter[Lane] = Counter()
        self.polls = Bucket(clock=self.clock, under_way=lambda: self.scans)
        self.asked: list[Poll] = []
        self.waited: list[tuple[Lane, float]] = []
        self.paused: list[float] = []
        self.goes_on = True
        self.rate, self.patience = rate, patience
        self.budget = self.worker()

    def worker(self) -> PollBudget:
        """The budget as one more worker has it."""
        return PollBudget(
            polls=self.polls,
            rate=self.rate,
            clock=self.clock,
            pause=self.pause,
            patience=self.patience,
            on_poll=self.asked.append,
            on_wait=lambda lane, seconds: self.waited.append((lane, seconds)),
        )

    async def pause(self, seconds: float) -> bool:
        self.paused.append(seconds)
        if self.goes_on:
            self.clock.advance(round(1000 * seconds))
        return self.goes_on

    async def takes(self, times: int, lane: Lane = PEOPLE) -> list[bool]:
        """Whether each of so many had its turn."""
        return [await self.budget.take(lane) == 0 for _ in range(times)]


async def test_it_gives_its_rate_and_no_more() -> None:
    rig = Rig(patience=0)
    assert await rig.takes(25) == [True] * 20 + [False] * 5
    rig.clock.advance(100)
    assert await rig.takes(3) == [True, True, False]
    rig.clock.advance(3_600_000)
    assert await rig.takes(21) == [True] * 20 + [False]


async def test_who_finds_it_empty_waits_a_moment_for_a_turn() -> None:
    rig = Rig()
    await rig.takes(20)
    assert await rig.takes(1) == [True]
    assert rig.paused == pytest.approx([0.05])


async def test_a_turn_that_is_further_away_than_a_second_is_not_waited_for() -> None:
    rig = Rig(rate=0.5)
    assert await rig.takes(1) == [True]
    assert await rig.budget.take(PEOPLE) == pytest.approx(2, abs=0.1)
    assert rig.paused == []
    assert rig.asked == [Poll.CHECK, Poll.PUT_OFF]


async def test_a_rate_below_one_a_second_saves_up_for_a_whole_turn() -> None:
    rig = Rig(rate=0.25)
    assert await rig.takes(1) == [True]
    rig.clock.advance(3_000)
    assert await rig.takes(2) == [True, False]
    rig.clock.advance(3_600_000)
    assert await rig.takes(2) == [True, False]


async def test_two_workers_share_one_budget() -> None:
    rig = Rig(patience=0)
    other = rig.worker()
    await rig.takes(15)
    taken = [await other.take(PEOPLE) == 0 for _ in range(10)]
    assert taken == [True] * 5 + [False] * 5


async def test_prewarm_leaves_half_of_what_is_saved_up_to_people() -> None:
    rig = Rig(patience=0)
    assert await rig.takes(15, PREWARM) == [True] * 10 + [False] * 5
    assert await rig.takes(11) == [True] * 10 + [False]


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.5, 2.0])
async def test_prewarm_has_its_turns_also_of_a_small_budget(rate: float) -> None:
    rig = Rig(rate=rate)
    for _ in range(3):
        assert await rig.takes(1, PREWARM) == [True]
        rig.clock.advance(4_000)


def test_a_drain_ends_the_wait_for_a_turn_at_once() -> None:
    """On a loop whose time passes by itself: nobody has waited when it has stood still."""

    async def drained() -> tuple[float, float]:
        stopping = asyncio.Event()
        clock = VirtualClock()
        polls = MemoryPolls(clock=clock, under_way=Counter)
        pause = pause_unless(stopping)
        budget = PollBudget(polls=polls, rate=1.1, clock=clock, pause=pause)
        await budget.take(PEOPLE)
        waiting = asyncio.create_task(budget.take(PEOPLE))
        await asyncio.sleep(0.1)
        stopping.set()
        return await waiting, clock.monotonic()

    again, waited = in_virtual_time(drained())
    assert again > 0
    assert waited == pytest.approx(0.1)


async def test_those_who_are_put_off_together_come_back_one_behind_the_other() -> None:
    rig = Rig(patience=0)
    await rig.takes(20)
    again = [await rig.budget.take(PEOPLE) for _ in range(100)]
    assert again == pytest.approx([number / RATE for number in range(1, 101)])


async def test_nobody_is_put_off_for_longer_than_his_share_or_half_a_minute() -> None:
    rig = Rig(patience=0)
    rig.scans[PEOPLE] = 2_000
    again = [await rig.budget.take(PEOPLE) for _ in range(4_000)]
    assert max(again) == pytest.approx(2_000 / 18)
    rig.scans.clear()
    again = [await rig.budget.take(PEOPLE) for _ in range(4_000)]
    assert max(again) == 30


def test_a_long_line_in_this_process_is_told_without_asking_the_store() -> None:
    async def crowd() -> tuple[int, int]:
        clock = VirtualClock()
        polls = Bucket(clock=clock, under_way=Counter)
        pause = pause_unless(asyncio.Event())
        budget = PollBudget(polls=polls, rate=RATE, clock=clock, pause=pause)
        again = await asyncio.gather(*(budget.take(PEOPLE) for _ in range(500)))
        return again.count(0), polls.asked

    had_their_turn, asked = in_virtual_time(crowd())
    assert 20 <= had_their_turn <= 41
    assert asked <= 100


async def test_a_store_that_is_away_is_the_steps_failure_and_the_next_is_tried() -> None:
    rig = Rig()
    rig.polls.away = True
    for _ in range(100):
        with pytest.raises(StoreUnreachable):
            await rig.budget.take(PEOPLE)
    with pytest.raises(StoreUnreachable):
        await rig.budget.take_spare()
    rig.polls.away = False
    assert await rig.takes(1) == [True]


async def test_what_is_not_to_spare_is_not_asked_for() -> None:
    rig = Rig(patience=0)
    await rig.takes(10)
    asked = rig.polls.asked
    assert not rig.budget.spare
    assert not await rig.budget.take_spare()
    assert rig.polls.asked == asked


async def test_a_quick_look_that_another_worker_used_up_is_refused_by_the_store() -> None:
    rig = Rig(patience=0)
    other = rig.worker()
    await rig.takes(10)
    asked = [other.spare, await other.take_spare(), other.spare]
    assert asked == [True, False, False]
    rig.clock.advance(100)
    assert [other.spare, await other.take_spare()] == [True, True]


async def test_the_share_of_each_is_what_the_budget_carries_and_people_count_ten_times() -> None:
    rig = Rig()
    rig.scans.update({PEOPLE: 180, PREWARM: 1_800})
    await rig.takes(1)
    assert rig.budget.share(PEOPLE) == pytest.approx(20)
    assert rig.budget.share(PREWARM) == pytest.approx(200)
    looks = 180 / rig.budget.share(PEOPLE) + 1_800 / rig.budget.share(PREWARM)
    assert looks == pytest.approx(0.9 * RATE)


# Many at once: analyses that never end, two workers, and a clock that runs by itself.


class Chain(msgspec.Struct):
    """One analysis under way, and the seconds at which it was looked at; the first is its begin."""

    lane: Lane
    looks: list[float]

    def longest(self, until: float) -> float:
        """Seconds that nobody looked."""
        return max(later - sooner for sooner, later in pairwise([*self.looks, until]))


class Crowd:
    """What became of many chains in some minutes."""

    def __init__(self, *, minutes: float) -> None:
        self.until = 60 * minutes
        self.chains: list[Chain] = []
        self.messages: list[float] = []
        self._scans: Counter[Lane] = Counter()

    def of(self, lane: Lane) -> list[Chain]:
        return [chain for chain in self.chains if chain.lane is lane]

    def mean(self, lane: Lane) -> float:
        """Seconds between two looks of a chain, when all have begun and none is young."""
        gaps = [
            later - sooner
            for chain in self.of(lane)
            for sooner, later in pairwise(chain.looks)
            if sooner > self.until / 2
        ]
        return statistics.mean(gaps)

    def looks_a_second(self) -> float:
        return self._in_the_second_half([look for chain in self.chains for look in chain.looks])

    def messages_a_second(self) -> float:
        return self._in_the_second_half(self.messages)

    def _in_the_second_half(self, times: list[float]) -> float:
        half = self.until / 2
        return sum(half < time <= self.until for time in times) / half

    async def run(self, begins: list[tuple[Lane, float]]) -> None:
        """Begin each of these chains (lane, second)."""
        self._clock = VirtualClock()
        polls = MemoryPolls(clock=self._clock, under_way=lambda: self._scans)
        pause = pause_unless(asyncio.Event())
        self._workers = [
            PollBudget(polls=polls, rate=RATE, clock=self._clock, pause=pause) for _ in range(2)
        ]
        await asyncio.gather(*(self._chain(*begin) for begin in begins))

    async def _chain(self, lane: Lane, begins: float) -> None:
        await asyncio.sleep(begins)
        self._scans[lane] += 1
        chain = Chain(lane, [begins])
        self.chains.append(chain)
        name, hop, delay = f"chain {len(self.chains)}", 0, DELAYS[0]
        while self._clock.monotonic() + delay <= self.until:
            await asyncio.sleep(delay)
            hop += 1
            delay = await self._check(chain, f"{name}.{hop}")

    async def _check(self, chain: Chain, step_id: str) -> int:
        self.messages.append(self._clock.monotonic())
        luck = luck_of(step_id)
        budget = self._workers[luck_of(f"whose {step_id}") < 0.5]
        if again := await budget.take(chain.lane):
            return spread_delay(again, luck=luck)
        now = self._clock.monotonic()
        chain.looks.append(now)
        return poll_delay(now - chain.looks[0], share=budget.share(chain.lane), luck=luck)


def crowd(*begins: tuple[Lane, float], minutes: float = 20) -> Crowd:
    made = Crowd(minutes=minutes)
    in_virtual_time(made.run(list(begins)))
    return made


def some(number: int, lane: Lane, *, within: float = 120) -> list[tuple[Lane, float]]:
    """So many chains that begin in so many seconds, one after the other."""
    return [(lane, within * each / number) for each in range(number)]


@pytest.mark.parametrize("lane", [PEOPLE, PREWARM])
def test_two_thousand_analyses_are_all_looked_at_at_the_rate_and_without_a_storm(
    lane: Lane,
) -> None:
    seen = crowd(*some(2_000, lane))
    assert 0.7 * RATE < seen.looks_a_second() <= RATE
    assert seen.messages_a_second() <= 2 * RATE
    assert max(chain.longest(seen.until) for chain in seen.chains) < 600
    assert seen.mean(lane) == pytest.approx(2_000 / (0.9 * RATE), rel=0.2)


def test_prewarm_yields_to_people_and_is_looked_at_all_the_same() -> None:
    seen = crowd(*some(200, PEOPLE), *some(1_800, PREWARM))
    assert seen.looks_a_second() <= RATE
    assert seen.messages_a_second() <= 2 * RATE
    assert seen.mean(PEOPLE) < 40
    assert seen.mean(PREWARM) > 4 * seen.mean(PEOPLE)
    assert max(chain.longest(seen.until) for chain in seen.of(PEOPLE)) < 120
    assert max(chain.longest(seen.until) for chain in seen.of(PREWARM)) < 900


def test_an_image_that_somebody_waits_for_is_looked_at_soon_in_any_crowd() -> None:
    late = (PEOPLE, 600.0)
    for lane in (PEOPLE, PREWARM):
        seen = crowd(*some(2_000, lane), late, minutes=12)
        (chain,) = [chain for chain in seen.chains if chain.looks[0] == 600]
        after = [look - 600 for look in chain.looks[1:]]
        assert all(look <= soon for look, soon in zip(after, (3, 6, 12, 24, 48), strict=False))
        assert len(after) >= 5


def test_a_hundred_analyses_are_looked_at_as_often_as_their_age_asks_for() -> None:
    seen = crowd(*some(100, PEOPLE))
    assert seen.mean(PEOPLE) <= 30
    assert seen.messages_a_second() <= 100 / 25


def test_those_that_all_begin_in_one_second_are_spread() -> None:
    seen = crowd(*some(2_000, PEOPLE, within=0))
    assert seen.looks_a_second() <= RATE
    assert seen.messages_a_second() <= 2 * RATE
    assert max(chain.longest(seen.until) for chain in seen.chains) < 900


async def test_how_long_each_stood_in_the_line_is_told_also_of_who_was_put_off() -> None:
    rig = Rig(rate=2, patience=1.0)
    assert await rig.takes(3) == [True, True, True]
    assert [lane for lane, _ in rig.waited] == [PEOPLE] * 3
    assert [seconds for _, seconds in rig.waited] == pytest.approx([0, 0, 0.5])
    rig.goes_on = False  # a drain
    assert await rig.takes(1) == [False]
    assert rig.waited[-1] == (PEOPLE, 0)
