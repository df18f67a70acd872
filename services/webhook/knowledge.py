"""Knowing one image: near cache, store, and when neither tells, the queue and a bounded wait.

Knows ports only; no HTTP, no Redis. The order of operations is docs/design/protocol.md:
look up; on a miss register as waiter and look up again; claim; publish; wait; one last look.
"""

from collections.abc import Callable, Sequence

import msgspec

from services.webhook.behind import Behind
from services.webhook.catalogue import Catalogue, Image, Known, Missing, Need
from services.webhook.entries import Entry
from services.webhook.lookups import Layer, Lookups
from services.webhook.moved import Moved
from services.webhook.near_cache import NearCache
from services.webhook.requests import Asked, Requests
from services.webhook.terms import Terms
from services.webhook.uses import Uses
from services.webhook.verdicts import Fetch
from services.webhook.waiters import Room, Waiters
from shared.domain.decision import Judgement, State
from shared.domain.errors import StoreError
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.ports.clock import Clock

RESOLVE_WAIT = 0.5
"""Seconds that a review waits for a registry (docs/design/behaviour.md 1 and 2)."""

DOWN = (Asked.STORE_DOWN, Asked.QUEUE_DOWN)

DEFAULT_TERMS = Terms()

_TOLD = (State.PASS, State.FAIL, State.ERROR)
"""States in which something is known of an image."""


class _NotHeld(Exception):
    """Some of these keys have not been read yet."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(keys)
        self.keys = keys


class Patience(msgspec.Struct, frozen=True):
    """How a review waits for an image that is not known."""

    until: float
    """When its wait is over (monotonic seconds): the last look comes after it."""
    asks: bool = True
    """False for a dry run: it leaves no trace."""
    waits: bool = True
    who: object | None = None
    """Whose wait it is: the images of one review take one place."""
    only_first: bool = False
    """Wait only when this review took the request claim."""
    lane: Lane = Lane.ADMISSION
    tenant: str = ""
    """The namespace in whose budget of new analyses it counts."""


class Glimpse(msgspec.Struct):
    """A judgement from the near cache, good until `until` (ms) while its entries are fresh."""

    judgement: Judgement
    until: int
    entries: list[Entry]


class Knowledge:
    """What is known of images, and how it comes to be known."""

    def __init__(
        self,
        *,
        cache: NearCache,
        requests: Requests,
        waiters: Waiters,
        clock: Clock,
        rules: Callable[[], Rules],
        terms: Terms = DEFAULT_TERMS,
        room: Room | None = None,
        lookups: Lookups | None = None,
        uses: Uses | None = None,
    ) -> None:
        """`room`: where reviews wait; `lookups` is told where each answer came from, `uses` which
        images are used; None: whoever only looks ahead uses none."""
        self._cache = cache
        self._requests = requests
        self._waiters = waiters
        self._clock = clock
        self._rules = rules
        self._terms = terms
        self._room = room or Room()
        self._lookups = lookups or Lookups()
        self._uses = uses
        self._behind = Behind(requests=requests)
        self._moved = Moved(cache=cache, behind=self._behind, look=self._look)

    def glance(self, image: Image, *, asks: bool = True) -> Glimpse | None:
        """What the near cache alone can answer, without waiting for anything.

        `asks`: have what is stale asked again behind the answer.
        """
        entries: list[Entry] = []

        def fetch(keys: Sequence[str]) -> list[msgspec.Struct | None]:
            held = self._cache.glance(keys)
            if held is None:
                raise _NotHeld(keys)
            entries.extend(held)
            return [entry.record for entry in held]

        catalogue = self._catalogue(image, fetch)
        try:
            answer = catalogue.judge()
        except _NotHeld:
            return None
        if isinstance(answer, Missing):
            return None
        self._lookups.known(image, answer.judgement, Layer.NEAR_CACHE)
        if answer.overrun:
            self._lookups.overrun()
        if answer.refresh is None:
            self._requests.forget(image)
        if asks:
            self._renew(image, answer)
            self._used(image, answer.judgement)
        # What is to be asked again is looked at in each review, so that it is asked again.
        until = 0 if answer.refresh else min(answer.until, *(entry.ends for entry in entries))
        return Glimpse(answer.judgement, until, list(dict.fromkeys(entries)))

    async def learn(self, image: Image, patience: Patience) -> Judgement:
        """What is known by the deadline at the latest; never raises for a dead dependency."""
        asked: dict[Need, Asked] = {}
        judgement = await self._learn(image, patience, asked)
        layer = Layer.QUEUE if asked else Layer.STORE
        if asked.get(Need.REQUEST, Asked.STORE_DOWN) is not Asked.STORE_DOWN:
            self._lookups.asked(image)
        elif judgement.state in _TOLD:
            self._lookups.known(image, judgement, layer)
        else:
            self._lookups.untold(layer)
        return judgement

    async def known(self, image: Image) -> Judgement | None:
        """What is known now, for whoever only looks ahead: nothing is asked for, renewed or
        counted."""
        answer, _ = await self._look(image)
        return answer.judgement if isinstance(answer, Known) else None

    async def _learn(self, image: Image, patience: Patience, asked: dict[Need, Asked]) -> Judgement:
        """As `learn`; what had to be asked for stands in `asked` afterwards."""
        answer, trouble = await self._look(image)
        resolve_until = min(patience.until, self._clock.monotonic() + RESOLVE_WAIT)
        renewed: int | None = None
        while isinstance(answer, Missing):
            keys = answer.keys
            with self._waiters.on(keys) as changed:
                answer, trouble = await self._look(image, fresh=True, renewed=renewed)
                if isinstance(answer, Known) or trouble is not None:
                    break
                if answer.keys != keys:
                    continue  # it waits for something else by now: register for that first
                resolving = answer.need is Need.RESOLVE
                until = resolve_until if resolving else patience.until
                if resolving and renewed is None:
                    renewed = answer.asked_at
                if patience.asks and not answer.resting and answer.need not in asked:
                    asked[answer.need] = await self._ask(image, answer, patience, until)
                outcome = asked.get(answer.need, Asked.UNDER_WAY)
                if outcome in DOWN:
                    return _unanswered(image, State(outcome), "")
                if outcome is Asked.OVER:
                    return self._over(image, patience.tenant)
                if not self._may_wait(patience, resolving, outcome is Asked.FIRST):
                    break
                left = until - self._clock.monotonic()
                if not await self._room.wait(changed, left, who=patience.who):
                    answer, trouble = await self._look(image, fresh=True, renewed=renewed)
                    break
        if isinstance(answer, Missing):
            return self._not_known(image, answer, trouble)
        self._requests.forget(image)
        if answer.overrun:
            self._lookups.overrun()
        if patience.asks:
            self._renew(image, answer)
            self._used(image, answer.judgement)
        return answer.judgement

    async def _look(
        self, image: Image, *, fresh: bool = False, renewed: int | None = None
    ) -> tuple[Known | Missing, StoreError | None]:
        """One whole look-up; the trouble, if the store could not be asked about all of it."""
        held: dict[str, msgspec.Struct | None] = {}
        trouble: StoreError | None = None
        lost = False

        def fetch(keys: Sequence[str]) -> list[msgspec.Struct | None]:
            if any(key not in held for key in keys):
                raise _NotHeld(keys)
            return [held[key] for key in keys]

        while True:
            catalogue = self._catalogue(image, fetch, renewed=renewed)
            try:
                answer = catalogue.judge()
            except _NotHeld as missing:
                look = await self._cache.read(missing.keys, fresh=fresh)
                held.update(zip(missing.keys, look.records, strict=True))
                trouble = trouble or look.trouble
                lost = lost or look.lost
                continue
            if isinstance(answer, Known) and lost and answer.refresh is None:
                answer = msgspec.structs.replace(answer, refresh=Need.REQUEST)
            return answer, trouble

    def _catalogue(self, image: Image, fetch: Fetch, *, renewed: int | None = None) -> Catalogue:
        return Catalogue(
            image=image,
            rules=self._rules(),
            now=self._clock.now(),
            fetch=fetch,
            renewed=renewed,
            policy_grace=self._terms.policy_grace,
            platforms=self._terms.platforms,
        )

    async def _ask(self, image: Image, missing: Missing, patience: Patience, end: float) -> Asked:
        return await self._requests.ask(
            image,
            missing.need,
            subjects=missing.subjects,
            lane=patience.lane,
            within=max(end - self._clock.monotonic(), 0.05),
            tenant=patience.tenant,
        )

    def _may_wait(self, patience: Patience, resolving: bool, first: bool) -> bool:
        if not patience.waits or not self._room.has_place(patience.who):
            return False
        return first or resolving or not patience.only_first

    def _not_known(self, image: Image, missing: Missing, trouble: StoreError | None) -> Judgement:
        if trouble is not None:
            return _unanswered(image, State.STORE_DOWN, str(trouble))
        if missing.need is Need.RESOLVE:
            return _unanswered(image, State.REGISTRY_AWAY, missing.note)
        pending = _unanswered(image, State.PENDING, missing.note)
        return msgspec.structs.replace(
            pending,
            since=self._requests.since(image),
            usual=self._requests.usual(image),
            unresolved=missing.unresolved,
        )

    def _over(self, image: Image, tenant: str) -> Judgement:
        """Nothing was asked for; so it is wanted since now."""
        pending = _unanswered(image, State.PENDING, "")
        return msgspec.structs.replace(
            pending, since=self._clock.now(), usual=self._requests.usual(image), over=tenant
        )

    def _renew(self, image: Image, known: Known) -> None:
        """Have what is stale asked again, behind the answer, and what its tag moved to."""
        if known.refresh is not None:
            self._behind.ask(image, known.refresh, subjects=known.subjects)
        self._moved.judged(image)

    def _used(self, image: Image, judgement: Judgement) -> None:
        if self._uses is not None:
            self._uses.note(image, judgement)


def _unanswered(image: Image, state: State, message: str) -> Judgement:
    return Judgement(image=image.written, state=state, message=message, reference=image.reference)
