"""One webhook of the timeline: /mutate and /validate over a near cache of its own."""

import asyncio
import json
from collections import Counter
from typing import Any

import msgspec

from services.webhook.book import CurrentBook
from services.webhook.knowledge import Knowledge
from services.webhook.lookups import Lookups
from services.webhook.mutate import Mutate
from services.webhook.near_cache import NearCache
from services.webhook.occasions import Occasions
from services.webhook.outlook import Outlook
from services.webhook.pinning import Pinning
from services.webhook.requests import Requests
from services.webhook.reviewer import Reviewer, Waits
from services.webhook.terms import Terms
from services.webhook.waiters import Room, Waiters
from shared.domain.decision import Decision, State
from shared.domain.review import AdmissionRequest, decode_review, encode_review
from shared.domain.rules import PinWhat, Rules
from shared.ports.claims import RequestClaims
from shared.ports.clock import Clock
from shared.ports.signing import Unsealer
from shared.ports.steps import StepQueue
from shared.ports.verdicts import VerdictStore
from tests.fakes.json_patch import apply_patch
from tests.functional.timeline.columns import Column
from tests.house import PERSON, pod, review_of
from tests.waiting import PATIENCE

BUDGET = 4.5
"""Seconds that a webhook may take."""


class Started(msgspec.Struct, frozen=True):
    """What becomes of a pod that an API server was asked to create."""

    decision: Decision
    image: str
    """As it is after /mutate, where that was called."""
    warnings: tuple[str, ...]
    waited: bool
    """Whether anybody waited for a registry or a scan."""

    @property
    def state(self) -> State:
        return self.decision.state

    @property
    def code(self) -> int:
        return self.decision.code

    @property
    def allowed(self) -> bool:
        return self.decision.allowed


class Webhook:
    """One webhook process: /mutate and /validate over a near cache of its own."""

    def __init__(
        self,
        *,
        store: VerdictStore,
        claims: RequestClaims,
        queue: StepQueue,
        unsealer: Unsealer,
        clock: Clock,
        pin: PinWhat,
        rules: Rules,
        policy_grace: int,
        wait: float,
        pin_wait: float,
    ) -> None:
        """`wait`: seconds that a pod waits for what is not known, and `pin_wait`: at most in
        /mutate."""
        self._clock = clock
        self._wait = wait
        self._pins = pin is not PinWhat.NONE
        self.heard: Counter[str | None] = Counter()
        self._news = asyncio.Event()
        self.bad: list[str] = []
        self.overruns = 0
        self.waits = 0
        book = CurrentBook(rules)
        terms = Terms(pin=pin, policy_grace=policy_grace)
        waiters, room = Waiters(), Room(on_waiting=self._waiting)
        occasions = Occasions(books=book)
        self._waiters = waiters
        self.cache = NearCache(
            store=store,
            unsealer=unsealer,
            clock=clock,
            on_bad_signature=self.bad.append,
            on_change=self._changed,
        )
        requests = Requests(claims=claims, queue=queue, clock=clock)
        knowledge = Knowledge(
            cache=self.cache,
            requests=requests,
            waiters=waiters,
            clock=clock,
            rules=lambda: book.rules,
            terms=terms,
            room=room,
            lookups=Lookups(on_overrun=self._overrun),
        )
        self._reviewer = Reviewer(
            knowledge=knowledge,
            occasions=occasions,
            clock=clock,
            waits=Waits(person=wait, system=wait),
            terms=terms,
        )
        self._mutate = Mutate(
            pinning=Pinning(
                cache=self.cache,
                requests=requests,
                waiters=waiters,
                clock=clock,
                rules=lambda: book.rules,
                room=room,
            ),
            outlook=Outlook(knowledge=knowledge, clock=clock, terms=terms),
            occasions=occasions,
            clock=clock,
            terms=terms,
            wait=min(wait, pin_wait),
        )

    def _changed(self, key: str | None) -> None:
        self.heard[key] += 1
        self._news.set()
        self._waiters.wake(key)

    def _overrun(self) -> None:
        self.overruns += 1

    def _waiting(self, waiting: int) -> None:
        self.waits += waiting > 0

    async def hears(self, key: str | None, *, times: int) -> None:
        """Wait until the store has announced `key` so often; None: a gap."""
        async with asyncio.timeout(PATIENCE):
            while self.heard[key] < times:
                self._news.clear()
                await self._news.wait()

    async def start(self, column: Column, *, user: str = PERSON) -> Started:
        """A pod is created: where this installation pins, /mutate is called before /validate."""
        content = pod(column.image, policy=column.policy)
        if not column.policy:
            del content["spec"]["containers"][0]["imagePullPolicy"]
        waits, warnings = self.waits, []
        began = self._clock.monotonic()
        if self._pins:
            answer = await self._mutate.answer(
                _request(content, user),
                began=began,
                deadline=began + BUDGET,
            )
            response = json.loads(encode_review(answer))["response"]
            warnings += response.get("warnings", [])
            content = apply_patch(response, content)
        request = _request(content, user)
        decision = await self._reviewer.review(request, deadline=began + BUDGET)
        return Started(
            decision=decision,
            image=content["spec"]["containers"][0]["image"],
            warnings=(*warnings, *decision.warnings),
            waited=self.waits > waits,
        )


def _request(content: dict[str, Any], user: str) -> AdmissionRequest:
    return decode_review(json.dumps(review_of(content, user=user)).encode())
