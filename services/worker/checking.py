"""Check steps: a look at an analysis under way, or some; a verdict, or the next check."""

import logging

from services.worker.advancing import Advancing
from services.worker.budget import PollBudget
from services.worker.chains import Chains, Follow, NoPlace
from services.worker.judging import Judging
from services.worker.pointing import Pointing
from services.worker.requesting import Requesting
from services.worker.scanning import Scanning
from shared.domain.retry import luck_of, spread_delay
from shared.domain.step import Step

log = logging.getLogger(__name__)

WHOLE_SECONDS = 1_000
"""Milliseconds: a scanner that tells whole seconds says so much less than it means."""


class Checking:
    """Raises TransientFailure and StoreError for another attempt."""

    def __init__(
        self,
        *,
        pointing: Pointing,
        judging: Judging,
        chains: Chains,
        advancing: Advancing,
        requesting: Requesting,
        follow: Follow,
        budget: PollBudget,
    ) -> None:
        self._pointing = pointing
        self._judging = judging
        self._chains = chains
        self._advancing = advancing
        self._requesting = requesting
        self._follow = follow
        self._budget = budget

    async def check(self, step: Step) -> None:
        """See how far the analysis is."""
        subject = step.subject
        if subject is None:
            return
        scanning = await self._chains.hold(step, subject, chain=step.chain, hop=step.hop)
        if scanning is None:
            return
        if scanning.adopted and await self._judged_meanwhile(scanning):
            await self._chains.end(scanning)
        elif not await self._pointing.named(subject):
            await self._ask_anew(scanning)
        elif again := await self._budget.take(scanning.lane):
            delay = spread_delay(again, luck=luck_of(step.id))
            await self._chains.go_on(scanning, delay, looked=False)
        else:
            await self._advance(scanning)

    async def _judged_meanwhile(self, scanning: Scanning) -> bool:
        """Whether its record is gone because what the chain is for is there: somebody was woken,
        or its put was confirmed and the check came again."""
        step = scanning.step
        since = (step.began or step.first_seen) - WHOLE_SECONDS
        return await self._judging.judged_since(since, scanning.subject, step.question)

    async def _advance(self, scanning: Scanning) -> None:
        try:
            await self._advancing.advance(scanning)
        except NoPlace:
            # The scanner has forgotten it, or was away when it would have been submitted.
            await self._requesting.later(scanning.request())

    async def _ask_anew(self, scanning: Scanning) -> None:
        """A verdict tells that a worker saw the tag name the digest, and a message proves nothing:
        who writes to the queue would choose the policy by a tag that lies. The tag may also have
        moved twice meanwhile, or the store been emptied. So the registry is asked again."""
        image = scanning.step.reference
        log.info("asked anew: nobody saw the tag name the digest", extra={"image": image})
        await self._chains.end(scanning)
        await self._follow(scanning.request(), 0)
