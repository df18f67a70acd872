"""The polling budget: how often Anchore is asked how far analyses are, by all workers together.

People's looks go first: prewarm's, and quick ones, leave half of what is saved up to them. Where
the budget does not carry all, each analysis has its share of it; what comes together by chance is
put off, one behind the other (docs/design/budgets.md, docs/adr/0021).
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from services.worker.pausing import Pause
from shared.domain.retry import MAX_POLL
from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.ports.polls import Polls, Turn, most_saved

PLANNED = 0.9
"""The part of the budget that is shared out; the rest is for young analyses, and for those that
come together by chance."""

WEIGHT = 10
"""An analysis that people wait for counts as so many of prewarm's."""

PATIENCE = 1.0
"""Seconds that a step waits for its turn; a longer wait goes to a delay queue, not to a slot."""


class Poll(StrEnum):
    """What became of the wish to ask, for the metric."""

    CHECK = "check"
    QUICK = "quick"
    PUT_OFF = "put_off"
    """No turn in time: nothing was asked."""


class PollBudget:
    """`rate` looks a second, of which a second's worth is saved up, at least a whole one.

    Raises StoreError.
    """

    def __init__(
        self,
        *,
        polls: Polls,
        rate: float,
        clock: Clock,
        pause: Pause,
        patience: float = PATIENCE,
        on_poll: Callable[[Poll], None] = lambda poll: None,
        on_wait: Callable[[Lane, float], None] = lambda lane, seconds: None,
    ) -> None:
        """`patience` (seconds): how long a step waits for its turn, unless `pause` ends. `on_wait`
        is told how long each did, those included that were put off."""
        self._bucket = _Bucket(polls=polls, rate=rate, clock=clock)
        self._rate = rate
        self._on_poll = on_poll
        self._on_wait = on_wait
        self._half = most_saved(rate) / 2
        # Who had to leave half of a single turn would never have one.
        spares = {Lane.CHECK: 0.0, Lane.CHECK_PREWARM: min(self._half, most_saved(rate) - 1)}
        self._lines = {
            lane: _Line(bucket=self._bucket, spare=spare, pause=pause, patience=patience)
            for lane, spare in spares.items()
        }

    async def take(self, lane: Lane) -> float:
        """Take a turn for a check of `lane`, waiting a little for it: 0. Else nothing may be asked:
        the seconds after which to come again."""
        began = self._bucket.clock.monotonic()
        again = await self._lines[lane].turn()
        self._on_wait(lane, self._bucket.clock.monotonic() - began)
        self._on_poll(Poll.PUT_OFF if again else Poll.CHECK)
        return min(again, max(self.share(lane), MAX_POLL))

    @property
    def spare(self) -> bool:
        """Whether a quick look may be to spare, as far as is known without asking the store."""
        return self._bucket.at_most - 1 >= self._half

    async def take_spare(self) -> bool:
        """Take a turn for a quick look if it is to spare; never waits."""
        if not self.spare or not (await self._bucket.take(spare=self._half)).granted:
            return False
        self._on_poll(Poll.QUICK)
        return True

    def share(self, lane: Lane) -> float:
        """Seconds from one look at an analysis to the next where each has its share of the budget,
        by what is known of how many are under way."""
        known = self._bucket.known
        weight = known.for_people + (known.under_way - known.for_people) / WEIGHT
        share = weight / (PLANNED * self._rate)
        return share if lane is Lane.CHECK else WEIGHT * share


class _Bucket:
    """The bucket of all workers, and what this one knows of it."""

    def __init__(self, *, polls: Polls, rate: float, clock: Clock) -> None:
        self.rate = rate
        self.clock = clock
        self.known = Turn(granted=False, left=most_saved(rate))
        self._polls = polls
        self._known_at = clock.monotonic()

    @property
    def at_most(self) -> float:
        """Turns that it may hold: since it was asked others may have taken some, and time alone
        brought some."""
        passed = self.clock.monotonic() - self._known_at
        return min(most_saved(self.rate), self.known.left + passed * self.rate)

    async def take(self, *, spare: float) -> Turn:
        asked_at = self.clock.monotonic()
        self.known = await self._polls.take(rate=self.rate, spare=spare)
        self._known_at = asked_at
        return self.known


class _Line:
    """Steps of this worker that wait for their turns: the first asks, the others stand behind it.

    Those who are put off are sent away one behind the other too, as far apart as turns come, so
    that they do not come back together.
    """

    def __init__(self, *, bucket: _Bucket, spare: float, pause: Pause, patience: float) -> None:
        self._bucket = bucket
        self._spare = spare
        self._pause = pause
        self._patience = patience
        self._first = asyncio.Lock()
        self._standing = 0
        self._sent_away = 0.0
        self._sent_at = bucket.clock.monotonic()

    async def turn(self) -> float:
        """0 when it has come, or the seconds after which to come again."""
        if self._standing > self._patience * self._bucket.rate:
            return self._send_away(0.0)
        until = self._bucket.clock.monotonic() + self._patience
        self._standing += 1
        try:
            async with self._first:
                turn = await self._wait(until)
        finally:
            self._standing -= 1
        return 0.0 if turn.granted else self._send_away(turn.wait / 1000)

    async def _wait(self, until: float) -> Turn:
        while True:
            turn = await self._bucket.take(spare=self._spare)
            wait = turn.wait / 1000
            if turn.granted or self._bucket.clock.monotonic() + wait > until:
                return turn
            if not await self._pause(wait):
                return turn

    def _send_away(self, wait: float) -> float:
        now, rate = self._bucket.clock.monotonic(), self._bucket.rate
        self._sent_away = max(0.0, self._sent_away - (now - self._sent_at) * rate) + 1
        self._sent_at = now
        return max(wait, self._sent_away / rate)
