"""Asking for a scan before anybody wants the image: the request claim, then the queue.

The order of operations is the webhook's (docs/design/protocol.md). The lane is prewarm's, so that
people's images come first; and a review of the same image takes our claim over and asks on the
lane for people.
"""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from services.intake.pushes import Found, Ignored, Push, Taken, Tally
from services.intake.replays import Replays
from shared.domain.errors import QueueError, QueueUnconfirmed, StoreError
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.why import Why
from shared.ports.claims import Claim, RequestClaims
from shared.ports.clock import Clock
from shared.ports.steps import StepQueue

CLAIM_LIFE = 30_000
"""Milliseconds; the worker that begins the request deletes it sooner."""

WITHIN = 0.4
"""Seconds that a sender waits at most: Distribution's sample configuration gives up after 0.5."""

AT_ONCE = 256
"""Images of this process that are being asked for; more wait for their turn."""


class Prewarm:
    """Has the images of push events judged."""

    def __init__(
        self,
        *,
        claims: RequestClaims,
        queue: StepQueue,
        clock: Clock,
        rules: Callable[[], Rules],
        scanner: str,
        replays: Replays,
        repositories: Sequence[str] = (),
        within: float = WITHIN,
    ) -> None:
        """`repositories` are globs on `host/path`; none: all that the rules allow."""
        self._claims = claims
        self._queue = queue
        self._clock = clock
        self._rules = rules
        self._scanner = scanner
        self._replays = replays
        self._repositories = tuple(repositories)
        self._within = within
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def take(self, found: Found) -> Tally:
        """Ask for what is new in one request, side by side; never raises for a dead store or
        queue, and never takes longer than `within`."""
        tally = Tally(taken=Counter(), ignored=Counter(found.ignored))
        wanted = self._wanted(found.pushes, tally)
        fates = dict.fromkeys(wanted, Taken.AWAY)

        async def ask(key: str, push: Push) -> None:
            step = self._step(push)
            # What becomes of it counts from each step on, should the time end there.
            fates[key] = await self._claim(step, tally)
            if fates[key] is not Taken.UNDER_WAY:
                fates[key] = await self._publish(step, fates[key], tally)

        try:
            async with asyncio.timeout(self._within), asyncio.TaskGroup() as group:
                for key, pushes in wanted.items():
                    # Before there is a task: thousands that wait for their turn fill the memory.
                    await self._turns.acquire()
                    # The last event says best what the tag names now.
                    asking = group.create_task(ask(key, pushes[-1]), name=f"prewarm {key}")
                    # Not a `finally` of the task: one that is cancelled before it ran has none.
                    asking.add_done_callback(lambda _: self._turns.release())
        except TimeoutError:
            tally.troubles["deadline"] = f"not done within {self._within:g} s"
        for key, fate in fates.items():
            tally.taken[fate] += 1
            if fate is Taken.QUEUED:
                tally.images.append(key)
            if fate is not Taken.AWAY:
                for push in wanted[key]:
                    self._replays.remember(push.event)
        return tally

    def _wanted(self, pushes: Sequence[Push], tally: Tally) -> dict[str, list[Push]]:
        """By reference, the events that want it."""
        wanted: dict[str, list[Push]] = {}
        for push in pushes:
            if not self._allows(push.reference):
                tally.ignored[Ignored.NOT_ALLOWED] += 1
            elif self._replays.seen(push.event):
                tally.taken[Taken.REPLAYED] += 1
            else:
                wanted.setdefault(str(push.reference), []).append(push)
        if repeated := sum(len(pushes) - 1 for pushes in wanted.values()):
            tally.ignored[Ignored.REPEATED] += repeated
        return wanted

    def _allows(self, reference: ImageReference) -> bool:
        if not self._rules().allows_registry(reference.host):
            return False
        return not self._repositories or any(
            fnmatchcase(reference.repository, pattern) for pattern in self._repositories
        )

    async def _claim(self, step: Step, tally: Tally) -> Taken:
        try:
            claim = await self._claims.claim(step.claim, step, life=CLAIM_LIFE)
        except StoreError as error:
            tally.troubles["store"] = str(error)
            return Taken.AWAY
        # With the claim the store remembers the step.
        return Taken.REMEMBERED if claim is Claim.TAKEN else Taken.UNDER_WAY

    async def _publish(self, step: Step, kept: Taken, tally: Tally) -> Taken:
        """Queue it; `kept` is what it stays where the queue does not take it."""
        try:
            await self._queue.publish(step)
        except QueueError as error:
            tally.troubles["queue"] = str(error)
            # Unconfirmed it may still arrive, and its claim ends by itself.
            if kept is Taken.REMEMBERED and not isinstance(error, QueueUnconfirmed):
                with contextlib.suppress(StoreError):
                    await self._claims.drop(step.claim)
            return kept
        return Taken.QUEUED

    def _step(self, push: Push) -> Step:
        question = self._rules().default.question(scanner=self._scanner)
        return Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.PREWARM,
            reference=str(push.reference),
            question=question,
            first_seen=self._clock.now(),
            why=Why.PREWARM,
            claim=request_claim(StepKind.REQUEST, push.reference, question),
            announced=push.announced,
        )
