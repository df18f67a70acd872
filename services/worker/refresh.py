"""Refresh: what is in use is judged anew before it is stale, and first where its policy changed.

The leader surveys what is in use and asks for what is left to do, as anybody asks: a request claim,
then a step in prewarm's lane. It keeps a pace for Anchore and one for each registry, and it waits
while others are behind: nothing piles up, since what is left stands in the records and is found by
the next survey (docs/design/refresh.md).
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from enum import StrEnum

from services.worker.in_use import Left, Stand, Surveyed
from services.worker.pace import Pace
from services.worker.survey import Surveyor
from shared.domain.errors import (
    PermanentFailure,
    QueueError,
    QueueUnconfirmed,
    StepFailure,
    StoreError,
)
from shared.domain.latest import Latest
from shared.domain.reference import parse_reference
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import scan_key
from shared.domain.why import Why
from shared.ports.claims import Claim, RequestClaims
from shared.ports.clock import Clock
from shared.ports.steps import StepQueue

log = logging.getLogger(__name__)

SURVEY_EVERY = 15.0
"""Seconds from one survey to the next, at least."""

AT_A_TIME = 60.0
"""Seconds of asking after which it is surveyed anew what is left."""

SURVEYING = 5
"""Of so much time one part at most goes into surveys."""

LOOK_EVERY = 5.0
"""Seconds in which lanes and scanner are taken to be as they were."""

BUSY = 100
"""Steps ready in a lane from which on it is behind: nothing is added to it."""

LANES = (Lane.ADMISSION, Lane.PREWARM, Lane.CHECK, Lane.CHECK_PREWARM)

CLAIM_LIFE = 30_000
"""Milliseconds, as everybody's who asks; the worker that begins the request deletes it sooner."""

ASKED_AGAIN = 600.0
"""Seconds in which the same is not asked for again: what it did not change it would not change."""

MAX_ASKED = 10_000
MAX_HOSTS = 1_000

Rate = Callable[[], float]
"""A second."""

Probe = Callable[[], Awaitable[object]]
"""Raises StepFailure where the scanner does not answer, or is taken for down."""


class Refreshed(StrEnum):
    """What became of an image that was to be judged anew, for the metric."""

    ASKED = "asked"
    UNDER_WAY = "under_way"
    """Somebody had asked, or its scan is in sight."""


class Waits(StrEnum):
    """Why nothing was asked for, for the metric."""

    LANE = "lane"
    """Others are behind."""
    SCANNER = "scanner"
    STORE = "store"
    QUEUE = "queue"


class _Wait(Exception):
    """Not now."""

    def __init__(self, why: Waits, words: str) -> None:
        super().__init__(words)
        self.why = why


class Refresh:
    """Surveys and asks, until it is cancelled; one at a time does (the leader)."""

    def __init__(
        self,
        *,
        surveyor: Surveyor,
        claims: RequestClaims,
        queue: StepQueue,
        probe: Probe,
        clock: Clock,
        rate: Rate,
        heads: float,
        on_survey: Callable[[Surveyed], None] = lambda found: None,
        on_left: Callable[[Stand, Refreshed], None] = lambda stand, refreshed: None,
        on_wait: Callable[[Waits], None] = lambda why: None,
        survey_every: float = SURVEY_EVERY,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`probe`: a question to the scanner as steps ask it; `rate`: evaluations a second that may
        be asked for; `heads`: questions a second to one registry. `on_survey` is told what each
        survey found."""
        self._surveyor = surveyor
        self._claims = claims
        self._queue = queue
        self._probe = probe
        self._clock = clock
        self._rate = rate
        self._heads = heads
        self._on_survey = on_survey
        self._on_left = on_left
        self._on_wait = on_wait
        self._survey_every = survey_every
        self._pause = pause
        self._pace = Pace(clock=clock, pause=pause)
        self._hosts = Latest[str, Pace](MAX_HOSTS)
        self._asked = Latest[str, float](MAX_ASKED)
        self._looked_at = float("-inf")
        self._hurry = asyncio.Event()
        self._waiting: Waits | None = None

    def hurry(self) -> None:
        """A policy has changed: what is left to do is other than it was."""
        self._hurry.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = self._clock.monotonic()
            took = await self.once()
            next_at = began + max(self._survey_every, SURVEYING * took)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, next_at - self._clock.monotonic())):
                    await self._hurry.wait()

    async def once(self) -> float:
        """One survey, and some of what it leaves to do; the seconds that the survey took."""
        self._hurry.clear()
        began = self._clock.monotonic()
        took = 0.0
        try:
            found = await self._surveyor.look()
            took = self._clock.monotonic() - began
            self._on_survey(found)
            await self._ask_for_all(found, within=max(AT_A_TIME, (SURVEYING - 1) * took))
        except StoreError as error:
            self._wait(_Wait(Waits.STORE, str(error)))
        except QueueError as error:
            self._wait(_Wait(Waits.QUEUE, str(error)))
        except _Wait as wait:
            self._wait(wait)
        else:
            self._waiting = None
        return took

    async def _ask_for_all(self, found: Surveyed, *, within: float) -> None:
        """One after the other, for some seconds: what a policy replaced, or a platform brought,
        before what goes stale."""
        until = self._clock.monotonic() + within
        for left in (*found.first, *found.due):
            if self._hurry.is_set() or self._clock.monotonic() >= until:
                return
            await self._ask_for(left)

    async def _ask_for(self, left: Left) -> None:
        """Have it judged anew, in its turn."""
        if self._asked_lately(left):
            return
        await self._look_whether_others_are_behind()
        await self._pace.keep(rate=self._rate(), cost=len(left.subjects))
        await self._of_host(left.host).keep(rate=self._heads)
        self._on_left(left.stand, await self._claim_and_publish(left))
        self._remember(left)

    async def _claim_and_publish(self, left: Left) -> Refreshed:
        step = self._step(left)
        scans = [scan_key(subject, step.question) for subject in left.subjects]
        claim = await self._claims.claim(step.claim, step, life=CLAIM_LIFE, scans=scans)
        if claim is not Claim.TAKEN:
            return Refreshed.UNDER_WAY
        try:
            await self._queue.publish(step)
        except QueueUnconfirmed as error:
            log.warning("no confirm for %s, its claim ends by itself: %s", step.claim, error)
        except QueueError:
            with contextlib.suppress(StoreError):
                await self._claims.drop(step.claim)
            raise
        return Refreshed.ASKED

    def _step(self, left: Left) -> Step:
        reference, question = parse_reference(left.use.reference), left.use.question
        return Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.PREWARM,
            reference=left.use.reference,
            question=question,
            first_seen=self._clock.now(),
            why=Why.REFRESH,
            claim=request_claim(StepKind.REQUEST, reference, question),
        )

    async def _look_whether_others_are_behind(self) -> None:
        """Raises _Wait where it is not the time to ask for more."""
        if self._clock.monotonic() < self._looked_at + LOOK_EVERY:
            return
        for lane in (await self._queue.depths()).lanes:
            if lane.lane in LANES and lane.ready >= BUSY:
                raise _Wait(Waits.LANE, f"{lane.ready} steps wait in the lane {lane.lane}")
        try:
            await self._probe()
        except PermanentFailure:
            pass  # it answers
        except StepFailure as error:
            raise _Wait(Waits.SCANNER, str(error)) from error
        self._looked_at = self._clock.monotonic()

    def _wait(self, wait: _Wait) -> None:
        """Counted each time, said once for each reason."""
        self._on_wait(wait.why)
        if self._waiting is not wait.why:
            log.warning(
                "what is in use is not judged anew for now: it goes on by itself",
                extra={"waits_for": str(wait.why), "why": str(wait)},
            )
        self._waiting = wait.why

    def _of_host(self, host: str) -> Pace:
        pace = self._hosts.get(host) or Pace(clock=self._clock, pause=self._pause)
        self._hosts[host] = pace
        return pace

    def _asked_lately(self, left: Left) -> bool:
        asked = self._asked.get(_name(left))
        return asked is not None and self._clock.monotonic() < asked + ASKED_AGAIN

    def _remember(self, left: Left) -> None:
        self._asked[_name(left)] = self._clock.monotonic()


def _name(left: Left) -> str:
    """Of the image as it stands: replaced by another policy, or due anew, it is something else."""
    return f"{left.use.reference}|{left.use.question.label}|{left.since}"
