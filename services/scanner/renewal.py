"""A new feed: what is known of every image is asked for again, from what is kept of it.

Nothing is pulled. The images that were used last come first; a process that ends in the middle goes
on where it was, since each image says by which data it was looked at.
"""

import asyncio
import logging

from services.scanner.evaluating import Evaluating
from services.scanner.knowledge import Knowledge
from services.scanner.matching.port import DataState, MatchingFailed, VulnerabilityData
from services.scanner.metrics import Renewed, ScannerMetrics
from services.scanner.precedence import Precedence
from services.scanner.records import Image, Policy
from services.scanner.store import evaluations, images, policies
from services.scanner.store.database import Database, StoreFailed

log = logging.getLogger(__name__)

LOOK_AGAIN = 5.0
RETRY = 60.0
"""Seconds until what goes on failing is tried again; the first time at the next look."""
GIVE_UP = 20
"""Failures in one round after which it is the data that is broken, not the images."""


class Renewal:
    """Follows the data, and has all that it touches evaluated anew."""

    def __init__(
        self,
        *,
        database: Database,
        data: VulnerabilityData,
        knowledge: Knowledge,
        evaluating: Evaluating,
        precedence: Precedence,
        metrics: ScannerMetrics,
        width: int = 1,
    ) -> None:
        """`width`: images at a time."""
        self._database = database
        self._data = data
        self._knowledge = knowledge
        self._evaluating = evaluating
        self._precedence = precedence
        self._metrics = metrics
        self._width = width

    async def run(self, *, look_again: float = LOOK_AGAIN, retry: float = RETRY) -> None:
        """For ever."""
        tried = ""
        rest = pause = 0.0
        while True:
            try:
                state = await self._data.state()
                another = state.identity != tried
                if another:
                    tried, pause = state.identity, 0.0
                    _say_if_there_is_none(state)
                if another or rest <= 0:
                    failed = await self.once(state)
                    rest = pause = min(2 * pause or look_again, retry) if failed else 0.0
            except (StoreFailed, MatchingFailed) as error:
                log.error("images cannot be evaluated anew: %s", error)
            except Exception:
                log.exception("images cannot be evaluated anew; it is tried again")
            await asyncio.sleep(look_again)
            rest -= look_again

    async def once(self, state: DataState) -> int:
        """All images that were not looked at by this data; how many could not be. None is tried
        while there is no data: each would say the same, and another identity begins anew."""
        if state.as_of is None:
            return 0
        after: Image | None = None
        done = failed = turned = 0
        while failed < GIVE_UP and (await self._data.state()).identity == state.identity:
            page = await self._database.run(images.outdated, data=state.identity, after=after)
            if not page:
                break
            for outcome in await self._page(page, state.identity):
                done += 1
                failed += outcome is Renewed.FAILED
                turned += outcome is Renewed.TURNED
            after = page[-1]
        if done:
            said = {"images": done, "turned": turned, "failed": failed, "data": state.identity}
            log.log(logging.WARNING if failed else logging.INFO, "evaluated anew", extra=said)
        return failed

    async def _page(self, page: list[Image], data: str) -> list[Renewed]:
        places = asyncio.Semaphore(self._width)

        async def one(image: Image) -> Renewed:
            async with places:
                await self._precedence.gap()
                outcome = await self._renew(image, data)
            self._metrics.renewed(outcome)
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(image)) for image in page]
        return [task.result() for task in tasks]

    async def _renew(self, image: Image, data: str) -> Renewed:
        try:
            known = await self._knowledge.of(image)
        except MatchingFailed as error:
            self._metrics.matching_failed()
            extra = {"digest": image.digest, "reason": str(error)}
            log.warning("image cannot be matched anew", extra=extra)
            return Renewed.FAILED
        turned = False
        for fulltag, policy in await self._asked(image):
            evaluation = await self._evaluating.evaluate(image, fulltag, policy, known=known)
            if evaluation.failed:
                return Renewed.FAILED
            turned = turned or evaluation.turned
        if known.matches.data == data:
            await self._database.run(images.judged, image, data=data)
        return Renewed.TURNED if turned else Renewed.SAME

    async def _asked(self, image: Image) -> list[tuple[str, Policy]]:
        """Each tag by the active policy, and by those that somebody asked about."""
        asked = set(await self._database.run(evaluations.asked, image.digest))
        active = await self._database.run(policies.active)
        if active is not None:
            asked |= {(tag.fulltag, active.id) for tag in image.tags}
        found = {one: await self._database.run(policies.find, one) for _, one in asked}
        named = ((fulltag, found[policy_id]) for fulltag, policy_id in sorted(asked))
        return [(fulltag, policy) for fulltag, policy in named if policy is not None]


def _say_if_there_is_none(state: DataState) -> None:
    if state.as_of is None:
        why = state.problem or "there is no vulnerability data"
        log.error("images are not evaluated anew: %s", why)
