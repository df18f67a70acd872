"""When the scanner syncs by itself, and what it does when that fails."""

import asyncio
import logging

import pytest

from services.scanner.feeds.regular import RegularSync
from services.scanner.feeds.state import FeedBusy, FeedRefused
from services.scanner.feeds.syncing import Synced, Watching

GOOD = (Synced("Debian", "imported", records=7), Synced("Alpine", "unchanged"))
HALF = (Synced("Debian", "failed", reason="the mirror is away"), Synced("Alpine", "unchanged"))
Result = tuple[Synced, ...] | Exception


class Ended(Exception):
    """The last result was used up."""


class Life:
    """A regular sync whose time passes at once."""

    def __init__(self, *results: Result, luck: float = 0.5) -> None:
        self.results = list(results)
        self.slept: list[float] = []
        self.noted: list[tuple[str, str]] = []
        self._luck = luck

    async def sync(self, *, watching: Watching) -> tuple[Synced, ...]:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        for one in result:
            watching.over(one)
        return result

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.results:
            raise Ended
        await asyncio.sleep(0)

    async def run(self, every: float = 21_600.0) -> None:
        regular = RegularSync(
            sync=self.sync,
            every=every,
            noted=lambda *what: self.noted.append(what),
            sleep=self.sleep,
            luck=lambda: self._luck,
        )
        with pytest.raises(Ended):
            await regular.run()


async def test_it_begins_at_once_and_comes_again() -> None:
    life = Life(GOOD, GOOD)
    await life.run()
    assert life.slept == [21_600.0, 21_600.0]
    assert life.noted == [("Debian", "imported"), ("Alpine", "unchanged")] * 2


@pytest.mark.parametrize(("luck", "seconds"), [(0.0, 19_440.0), (1.0, 23_760.0)])
async def test_many_scanners_do_not_come_together(luck: float, seconds: float) -> None:
    life = Life(GOOD, luck=luck)
    await life.run()
    assert life.slept == [pytest.approx(seconds)]


async def test_after_a_failure_it_comes_sooner_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = Life(HALF)
    with caplog.at_level(logging.WARNING):
        await life.run()
    assert life.slept == [3600.0]
    (record,) = caplog.records
    assert record.getMessage() == "feed sync failed"
    assert (record.__dict__["ecosystem"], record.__dict__["reason"]) == (
        "Debian",
        "the mirror is away",
    )


async def test_who_syncs_more_often_than_that_does_not_wait_longer() -> None:
    life = Life(HALF)
    await life.run(every=600.0)
    assert life.slept == [600.0]


@pytest.mark.parametrize(
    ("error", "noted"),
    [
        (FeedBusy("another sync is under way"), []),
        (FeedRefused("the disk is full"), [("all", "failed")]),
        (RuntimeError("a mistake of ours"), [("all", "failed")]),
    ],
)
async def test_nothing_that_goes_wrong_ends_it(
    error: Exception, noted: list[tuple[str, str]]
) -> None:
    life = Life(error, GOOD)
    await life.run()
    assert life.noted[: len(noted)] == noted
    assert life.noted[-2:] == [("Debian", "imported"), ("Alpine", "unchanged")]
