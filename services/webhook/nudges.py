"""Nudges: the owner of a pod that was denied and would be let in now is touched once, so that its
controller tries again at once and not after up to 16 minutes of back-off.

Nothing is allowed by it: the review that it brings decides. What is looked at is what /validate
would say by the rules, exceptions and verdicts of now; nobody is asked for a scan, and nothing is
written but the nudge. A stranger who knows an owner's uid can have its controller try once more,
ever more seldom; one who makes up owners, at most RATE questions a second that end in "not found",
and LOOKS look-ups a second.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum

from services.webhook.blocked import BlockedOwners
from services.webhook.blocked_owner import Blocked
from services.webhook.bucket import Bucket
from services.webhook.occasions import Occasions
from services.webhook.outage import Outage
from services.webhook.outlook import Outlook
from services.webhook.owner_events import OwnerEvents
from services.webhook.paces import EVERY, Paces
from shared.domain.decision import Decision, State
from shared.domain.errors import ClusterUnreachable, InvalidObject, OwnerGone, StoreError
from shared.domain.owner import Owner
from shared.domain.pointer import SECOND
from shared.domain.review import AdmissionRequest
from shared.domain.scope import RuleBook
from shared.ports.clock import Clock
from shared.ports.nudging import NudgeClaims, Nudging

log = logging.getLogger(__name__)

RATE = 20.0
SAVED = 40.0
"""Nudges a second of this process: what one of Kubernetes' own controllers allows itself."""
AT_ONCE = 8
"""Owners that are looked at side by side."""

LOOKS = 500.0
LOOKS_SAVED = 2_000.0
"""Images a second that are looked up for it: a tenth of a core. With more, owners of whom something
was heard come first, and the others later."""

SETTLE = 0.02
"""Seconds in which news is gathered: a controller is denied ten times in its first second, and a
verdict comes with others."""
TICK = 0.5
"""Seconds between two looks at the time and the rules, while anybody is blocked."""


class Outcome(StrEnum):
    """What became of the wish to nudge an owner, for the metric."""

    DONE = "done"
    TAKEN = "taken"
    """Another webhook did."""
    GONE = "gone"
    """There is no such owner any more, or there never was."""
    FAILED = "failed"
    """It is tried again."""


class Nudges:
    """Looks at blocked owners again when something was heard that may let them in."""

    def __init__(
        self,
        *,
        blocked: BlockedOwners,
        outlook: Outlook,
        occasions: Occasions,
        nudging: Nudging,
        claims: NudgeClaims,
        events: OwnerEvents,
        clock: Clock,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._blocked = blocked
        self._outlook = outlook
        self._occasions = occasions
        self._nudging = nudging
        self._claims = claims
        self._events = events
        self._clock = clock
        self._on_outcome = on_outcome
        self._bucket = Bucket(clock=clock, rate=RATE, most=SAVED)
        self._looks = Bucket(clock=clock, rate=LOOKS, most=LOOKS_SAVED)
        self._outage = Outage(clock=clock, what="owners of blocked pods are not nudged")
        self._places = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[str] = set()
        self._paces = Paces()
        self._book: RuleBook | None = None
        self._news = asyncio.Event()

    def denied(self, request: AdmissionRequest, decision: Decision) -> None:
        """A review was denied; nothing is awaited."""
        if self._blocked.denied(request, decision):
            self._news.set()

    def heard(self, key: str | None) -> None:
        """A record of the store changed; None: any may have."""
        if self._blocked.changed(key):
            self._news.set()

    async def run(self) -> None:
        """Look until cancelled; no error ends it."""
        while True:
            try:
                async with asyncio.timeout(TICK if len(self._blocked) else None):
                    await self._news.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(SETTLE)
            self._news.clear()
            await self.look()

    async def look(self) -> None:
        """Look at everybody whose time has come, once, as far as there is time for it."""
        book = self._occasions.book
        if book is not self._book:
            self._book = book
            self._blocked.rules_changed()
        async with asyncio.TaskGroup() as group:
            due = self._blocked.due(affords=self._looks.take)
            for entry in sorted(due, key=lambda each: self._fails(each.owner)):
                await self._places.acquire()
                looking = group.create_task(self._look_at(entry), name="look at a blocked owner")
                looking.add_done_callback(lambda _: self._places.release())

    async def _look_at(self, entry: Blocked) -> None:
        try:
            decision = await self._judge(entry)
            if not entry.waits:  # its owner was nudged meanwhile, or is gone
                return
            worth_asking = entry.store_was_away and decision.state is State.PENDING
            if decision.allowed or worth_asking:
                await self._try(entry, decision)
            else:
                self._events.still_denied(entry, decision)
        except InvalidObject:
            return  # what was wrong with it is so still
        except Exception:  # whatever befalls one, the others are looked at
            log.exception("owner of blocked pods could not be looked at: %s", entry.owner)

    async def _judge(self, entry: Blocked) -> Decision:
        """As a dry run would be answered, but that nothing is let pass that a pod would not be."""
        request = entry.request
        scope, book = self._occasions.at_once(request) or await self._occasions.scope(request)
        return await self._outlook.of_another_try(entry.images, scope, book)

    async def _try(self, entry: Blocked, decision: Decision) -> None:
        """Nudge it, unless it is too soon or another webhook does."""
        now, owner = self._clock.monotonic(), entry.owner
        later = self._next(owner, now)
        if later > now:
            entry.look = later
        elif owner.uid in self._under_way:  # for another entry of it: what comes of that counts
            entry.look = now + EVERY
        elif not self._bucket.take():
            entry.look = now + 1 / RATE
        else:
            self._under_way.add(owner.uid)
            try:
                if await self._is_ours(entry):
                    await self._nudge(entry, decision)
            finally:
                self._under_way.remove(owner.uid)

    async def _nudge(self, entry: Blocked, decision: Decision) -> None:
        began = self._clock.monotonic()
        try:
            known_as = await self._nudging.nudge(entry.owner)
        except OwnerGone:
            self._blocked.forget(entry.owner)
            self._on_outcome(Outcome.GONE)
            return
        except ClusterUnreachable as error:
            now = self._clock.monotonic()
            self._outage.failed(entry.owner.namespace, error)
            self._paces.failed(entry.owner.uid, now)
            entry.look = self._next(entry.owner, now)
            self._on_outcome(Outcome.FAILED)
            await self._drop(entry)
            return
        self._outage.over(entry.owner.namespace)
        self._on_outcome(Outcome.DONE)
        self._paces.nudged(entry.owner.uid, began)
        if decision.allowed:
            self._events.passed(entry, known_as)
        log.info("owner was nudged", extra={"owner": str(entry.owner), "why": entry.reason})
        self._blocked.nudged(entry.owner, at=began)
        if entry.waits:  # its controller was denied again before we were told
            entry.look = self._next(entry.owner, began)

    async def _is_ours(self, entry: Blocked) -> bool:
        """Whether no other webhook nudged it since it was denied here. Without the store each does:
        twice is better than never."""
        try:
            age = await self._claims.claim(entry.owner.uid, life=round(EVERY * SECOND))
        except StoreError:
            return True
        if age is None:
            return True
        taken = self._clock.monotonic() - age / SECOND
        if entry.denied <= taken:
            self._on_outcome(Outcome.TAKEN)
            self._blocked.nudged(entry.owner, at=taken)
        else:
            entry.look = taken + EVERY
        return False

    async def _drop(self, entry: Blocked) -> None:
        try:
            await self._claims.drop(entry.owner.uid)
        except StoreError:
            return  # it ends by itself

    def _next(self, owner: Owner, now: float) -> float:
        """When it may be nudged: now, or later."""
        return max(self._outage.until(owner.namespace) or now, self._paces.next(owner.uid, now))

    def _fails(self, owner: Owner) -> tuple[bool, bool]:
        """After a failure all wait a while: without an order the same few could come first, and
        fail, for ever."""
        return self._outage.fails_in(owner.namespace), self._paces.fails(owner.uid)
