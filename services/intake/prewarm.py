"""Asking for a scan before anybody wants the image: the request claim, then the queue.

The order of operations is the webhook's (docs/design/protocol.md). The lane is prewarm's, so that
people's images come first; and a claim of ours lives shortly, so that a review of the same
image soon asks on the lane for people.
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

CLAIM_LIFE = 5_000
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
        tally = Tally(taken=Counter(), ignored=Counter(found.ignored), images=[])
        wanted = self._wanted(found.pushes, tally)
        # What is not done in time was not taken: sent again, it finds its claim, or takes it.
        fates = dict.fromkeys(wanted, Taken.AWAY)

        async def ask(key: str, push: Push) -> None:
            async with self._turns:
                fates[key] = await self._ask(push, tally)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._within), asyncio.TaskGroup() as group:
                for key, push in wanted.items():
                    group.create_task(ask(key, push), name=f"prewarm {key}")
        for key, fate in fates.items():
            tally.taken[fate] += 1
            if fate is Taken.QUEUED:
                tally.images.append(key)
            if fate is not Taken.AWAY:
                self._replays.remember(wanted[key].event)
        if tally.taken[Taken.AWAY] and not tally.trouble:
            tally.trouble = f"store and queue did not take it within {self._within:g} s"
        return tally

    def _wanted(self, pushes: Sequence[Push], tally: Tally) -> dict[str, Push]:
        """By reference, what has to be asked for; the last event of a reference counts."""
        wanted: dict[str, Push] = {}
        for push in pushes:
            key = str(push.reference)
            if not self._allows(push.reference):
                tally.ignored[Ignored.NOT_ALLOWED] += 1
            elif self._replays.seen(push.event):
                tally.taken[Taken.REPLAYED] += 1
            else:
                if key in wanted:
                    tally.ignored[Ignored.REPEATED] += 1
                wanted[key] = push
        return wanted

    def _allows(self, reference: ImageReference) -> bool:
        if not self._rules().allows_registry(reference.host):
            return False
        return not self._repositories or any(
            fnmatchcase(reference.repository, pattern) for pattern in self._repositories
        )

    async def _ask(self, push: Push, tally: Tally) -> Taken:
        step = self._step(push)
        try:
            claim = await self._claims.claim(step.claim, step, life=CLAIM_LIFE)
        except StoreError as error:
            tally.trouble = str(error)
            return await self._publish_unclaimed(step, tally)
        if claim is not Claim.TAKEN:
            return Taken.UNDER_WAY
        try:
            await self._queue.publish(step)
        except QueueUnconfirmed as error:
            # It may still arrive; its claim ends by itself.
            tally.trouble = str(error)
            return Taken.REMEMBERED
        except QueueError as error:
            tally.trouble = str(error)
            with contextlib.suppress(StoreError):
                await self._claims.drop(step.claim)
            return Taken.REMEMBERED
        return Taken.QUEUED

    async def _publish_unclaimed(self, step: Step, tally: Tally) -> Taken:
        """Without a claim nothing remembers the step: only a confirm counts."""
        try:
            await self._queue.publish(step)
        except QueueError as error:
            tally.trouble = f"{tally.trouble}; {error}"
            return Taken.AWAY
        return Taken.QUEUED

    def _step(self, push: Push) -> Step:
        question = self._rules().question(scanner=self._scanner)
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
