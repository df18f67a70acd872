"""Verdicts are fresh as long as usual, and longer where the scanner cannot carry that."""

import pytest

from services.worker.freshness import Freshness
from shared.adapters.memory.usage import MemoryUsage
from shared.domain.errors import ErrorKind, StoreUnreachable
from shared.domain.pointer import DAY, MINUTE
from shared.domain.verdict import (
    FRESH_FAIL,
    FRESH_PASS,
    RENEWED_FROM,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
)
from tests.fakes.clock import FakeClock

SUBJECT = Subject("registry.corp/team/app", "sha256:" + "a" * 64, "1")


class Usage(MemoryUsage):
    """So much is in use."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.in_use = 0
        self.away = False
        self.asked = 0

    async def count(self) -> int:
        self.asked += 1
        if self.away:
            raise StoreUnreachable("away")
        return self.in_use


class Rig:
    def __init__(self, *, most: float = 100.0) -> None:
        self.clock = FakeClock()
        self.usage = Usage(self.clock)
        self.freshness = Freshness(usage=self.usage, clock=self.clock, most=most)

    async def fresh_for(self, outcome: Outcome = Outcome.PASS) -> int:
        verdict = Verdict(SUBJECT, Question(), outcome, evaluated_at=self.clock.now())
        return (await self.freshness.stretched(verdict)).fresh_for


def test_half_of_the_time_of_one_who_asks_without_a_pause_may_be_spent() -> None:
    rig = Rig()
    for seconds in (0.1, 0.3, 0.2):
        rig.freshness.evaluated(seconds)
    assert rig.freshness.rate == pytest.approx(0.5 / 0.2)


def test_before_anything_was_measured_little_is_spent() -> None:
    assert Rig().freshness.rate == 0.5


def test_however_quick_the_scanner_is_no_more_is_spent_than_allowed() -> None:
    rig = Rig(most=3.0)
    rig.freshness.evaluated(0.0)
    assert rig.freshness.rate == 3.0


def test_what_was_measured_long_ago_says_nothing_any_more() -> None:
    rig = Rig()
    rig.freshness.evaluated(0.01)
    rig.clock.advance(30 * MINUTE)
    rig.freshness.evaluated(2.0)
    rig.clock.advance(31 * MINUTE)
    assert rig.freshness.rate == 0.25


def test_the_last_evaluations_count() -> None:
    rig = Rig()
    for seconds in (*[10.0] * 100, *[1.0] * 64):
        rig.freshness.evaluated(seconds)
    assert rig.freshness.rate == 0.5


async def test_verdicts_are_fresh_as_long_as_usual_where_the_rate_carries_it() -> None:
    rig = Rig()
    rig.freshness.evaluated(0.5)  # one a second
    rig.usage.in_use = 100
    assert await rig.fresh_for() == FRESH_PASS
    assert await rig.fresh_for(Outcome.FAIL) == FRESH_FAIL


async def test_where_more_is_in_use_verdicts_are_fresh_as_long_as_a_round_of_all_takes() -> None:
    rig = Rig()
    rig.freshness.evaluated(0.5)
    rig.usage.in_use = 10_000
    fresh_for = await rig.fresh_for()
    assert fresh_for == round(1000 * 10_000 / RENEWED_FROM)
    # What is renewed soonest is due when the round of all others is over, and no sooner.
    assert fresh_for * RENEWED_FROM == pytest.approx(1000 * 10_000, rel=0.001)


async def test_nothing_is_fresh_for_longer_than_a_day() -> None:
    rig = Rig()
    rig.freshness.evaluated(5.0)
    rig.usage.in_use = 100_000
    assert await rig.fresh_for() == DAY


async def test_a_fail_is_asked_about_within_an_hour_whatever_is_in_use() -> None:
    """Its feed or its policy may be mended, and a person waits for that."""
    rig = Rig()
    rig.freshness.evaluated(0.5)
    rig.usage.in_use = 1_000
    assert FRESH_FAIL < await rig.fresh_for(Outcome.FAIL) < FRESH_PASS
    rig.usage.in_use = 100_000
    rig.clock.advance(MINUTE)
    assert await rig.fresh_for(Outcome.FAIL) == FRESH_PASS


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
async def test_what_the_scanner_had_kept_is_not_asked_for_again_at_once(outcome: Outcome) -> None:
    rig = Rig()
    rig.freshness.evaluated(0.01)
    kept = Verdict(SUBJECT, Question(), outcome, evaluated_at=rig.clock.now() - 55 * MINUTE)
    fresh = await rig.freshness.stretched(kept)
    due = fresh.evaluated_at + RENEWED_FROM * fresh.fresh_for
    assert due - rig.clock.now() == pytest.approx(FRESH_FAIL, abs=1)
    assert not fresh.stale(rig.clock.now() + FRESH_FAIL)


async def test_an_error_is_as_it_is() -> None:
    rig = Rig()
    rig.usage.in_use = 100_000
    error = error_verdict(
        SUBJECT, Question(), kind=ErrorKind.TRANSIENT, message="", now=rig.clock.now()
    )
    assert await rig.freshness.stretched(error) == error


async def test_what_is_in_use_is_counted_once_a_minute_and_kept_while_the_store_is_away() -> None:
    rig = Rig()
    rig.usage.in_use = 100_000
    stretched = await rig.fresh_for()
    for _ in range(10):
        await rig.fresh_for()
    assert rig.usage.asked == 1
    rig.usage.away = True
    rig.clock.advance(MINUTE)
    assert await rig.fresh_for() == stretched
    assert rig.usage.asked == 2
