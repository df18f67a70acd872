"""Owners of pods over stores in process, a clock of the test's, and a cluster that only notes."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from services.webhook.blocked import BlockedOwners
from services.webhook.book import CurrentBook
from services.webhook.knowledge import Knowledge
from services.webhook.near_cache import NearCache
from services.webhook.nudges import Nudges, Outcome
from services.webhook.occasions import Occasions
from services.webhook.outlook import Outlook
from services.webhook.owner_events import OwnerEvents, Told
from services.webhook.owners import Owners
from services.webhook.requests import Requests
from services.webhook.terms import Terms
from services.webhook.waiters import Waiters
from services.worker.ledger import Ledger
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.nudge_claims import MemoryNudgeClaims
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.decision import Decision, State
from shared.domain.errors import ClusterUnreachable, OwnerGone
from shared.domain.owner import Owner
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.review import AdmissionRequest, decode_review
from shared.domain.rules import Rules
from shared.domain.verdict import Action, Finding, Question, Subject, Verdict, verdict_key
from shared.domain.verdict import Outcome as Verdicts
from shared.ports.clock import Clock
from shared.ports.nudging import NudgeClaims, OwnerEvent, Reason
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes_owners import reference_to
from tests.fakes.sealing import PlainSealer
from tests.house import CONTROLLER, pod, review_of

DIGEST = "sha256:" + "d" * 64
IMAGE = f"registry.test/team/app:1@{DIGEST}"
UID = "edb4837b-9034-4610-a974-439d7156cbd2"
RS = Owner("apps/v1", "ReplicaSet", "team", "web-6c6b5b786d", UID)
WEB = Owner("apps/v1", "Deployment", "team", "web", "ac5ee09b-a6b2-4f05-b746-6998744d85e8")

PENDING = Decision(
    False, State.PENDING, code=429, reason="image app: not judged yet, since 3 s: try again"
)


class Cluster:
    """A `Nudging` and an `EventSink` that note what they are asked."""

    def __init__(self) -> None:
        self.nudges: list[Owner] = []
        self.looks: list[Owner] = []
        self.gone: set[Owner] = set()
        self.failure: ClusterUnreachable | None = None
        self.failures: dict[str, Exception] = {}
        """In one namespace."""
        self.broken: set[Owner] = set()
        """Of whom the API server answers a 500."""
        self.made: dict[tuple[Owner, Reason, str], tuple[str, int]] = {}
        self.above: dict[Owner, Owner] = {RS: WEB}
        self.on_nudge: Callable[[], None] = _nothing
        self.slow: asyncio.Event | None = None
        """Until when nothing is answered."""

    async def nudge(self, owner: Owner) -> Owner:
        self.nudges.append(owner)
        self.on_nudge()
        return await self._answer(owner)

    async def known_as(self, owner: Owner) -> Owner:
        self.looks.append(owner)
        return await self._answer(owner)

    async def tell(self, event: OwnerEvent, *, times: int) -> bool:
        self._fail(event.owner)
        key = (event.owner, event.reason, event.about)
        if (key in self.made) is (times == 1):
            return False
        first, _ = self.made.get(key, (event.note, 1))
        self.made[key] = (first, times)
        return True

    def told(self, reason: Reason) -> list[str]:
        """The notes of that reason."""
        return [note for (_, of, _), (note, _) in self.made.items() if of is reason]

    def told_of(self, owner: Owner) -> set[Reason]:
        """The reasons of what was told of it."""
        return {reason for of, reason, _ in self.made if of == owner}

    def _fail(self, owner: Owner) -> None:
        failure = self.failure or self.failures.get(owner.namespace)
        if failure is not None:
            raise failure
        if owner in self.broken:
            raise ClusterUnreachable("500: failed calling webhook")

    async def _answer(self, owner: Owner) -> Owner:
        await (self.slow.wait() if self.slow is not None else asyncio.sleep(0))
        self._fail(owner)
        if owner in self.gone:
            raise OwnerGone(f"there is no {owner} any more")
        return self.above.get(owner, owner)


def _nothing() -> None:
    """What usually happens meanwhile."""


class Rig:
    """One webhook's owners; `beside` another one: cluster, clock, store and claims are the same."""

    def __init__(
        self,
        *,
        rules: Rules | None = None,
        beside: "Rig | None" = None,
        claims: NudgeClaims | None = None,
        remembering: Clock | None = None,
    ) -> None:
        """`remembering`: the clock of what remembers denials, where it is not that of all."""
        self.clock: FakeClock = beside.clock if beside else FakeClock()
        self.cluster: Cluster = beside.cluster if beside else Cluster()
        shared = beside.claims if beside else MemoryNudgeClaims(clock=self.clock)
        self.claims: NudgeClaims = claims or shared
        self.sealer = PlainSealer()
        leases = MemoryScanLeases(clock=self.clock)
        self.store: MemoryVerdictStore = (
            beside.store if beside else MemoryVerdictStore(clock=self.clock, leases=leases)
        )
        self.book = CurrentBook(rules or Rules())
        self.queue = MemoryQueue(clock=self.clock)
        self.outcomes: Counter[Outcome] = Counter()
        self.events: Counter[tuple[Reason, Told]] = Counter()
        self.cache = NearCache(store=self.store, unsealer=self.sealer, clock=self.clock)
        self.blocked = BlockedOwners(clock=remembering or self.clock)
        self.telling = OwnerEvents(
            sink=self.cluster,
            nudging=self.cluster,
            clock=self.clock,
            on_told=lambda reason, told: self.events.update([(reason, told)]),
        )
        knowledge = Knowledge(
            cache=self.cache,
            requests=Requests(
                claims=MemoryRequestClaims(clock=self.clock, leases=leases),
                queue=self.queue,
                clock=self.clock,
            ),
            waiters=Waiters(),
            clock=self.clock,
            rules=lambda: self.book.rules,
        )
        self.nudges = Nudges(
            blocked=self.blocked,
            outlook=Outlook(knowledge=knowledge, clock=self.clock, terms=Terms()),
            occasions=Occasions(books=self.book),
            nudging=self.cluster,
            claims=self.claims,
            events=self.telling,
            clock=self.clock,
            on_outcome=lambda outcome: self.outcomes.update([outcome]),
        )
        self.owners = Owners(nudges=self.nudges, events=self.telling)

    def denied(
        self, *images: str, owner: Owner = RS, decision: Decision = PENDING, **more: Any
    ) -> None:
        """A pod of the owner was denied."""
        self.owners.answered(request(*(images or (IMAGE,)), owner=owner, **more), decision)

    async def judge(self, image: str = IMAGE, outcome: Verdicts = Verdicts.PASS) -> None:
        """A worker writes a verdict, and the store announces it."""
        now, reference = self.clock.now(), parse_reference(image)
        digest = reference.digest or DIGEST
        ledger = Ledger(
            store=self.store, sealer=self.sealer, unsealer=self.sealer, clock=self.clock
        )
        if reference.tag:
            await ledger.write_pointer(Pointer(reference.tagged, now, digest))
            self.heard(pointer_key(reference))
        subject = Subject(reference.repository, digest, reference.tag)
        findings = () if outcome is Verdicts.PASS else (STOP,)
        verdict = Verdict(
            subject, Question(), outcome, now, policy_id="baseline", findings=findings
        )
        await ledger.write_verdict(verdict, chain="")
        self.heard(verdict_key(subject, verdict.question))

    def heard(self, key: str | None) -> None:
        """As the listener tells it: the near cache first."""
        if key is None:
            self.cache.gap()
        else:
            self.cache.changed(key)
        self.owners.heard(key)

    async def look(self, *, after: float = 0.0) -> None:
        """Some seconds later, look at whoever's time has come, and tell what is to be told."""
        self.clock.advance(round(after * 1000))
        await self.nudges.look()
        await self.telling.tell_all()


STOP = Finding(
    gate="packages", trigger="blacklist", trigger_id="t", action=Action.STOP, message="no"
)


def request(
    *images: str,
    owner: Owner | None = RS,
    user: str = CONTROLLER,
    operation: str = "CREATE",
    labels: dict[str, str] | None = None,
    **more: Any,
) -> AdmissionRequest:
    """A review as the API server sends it when a controller makes a pod."""
    content = pod(*images)
    if owner is not None:
        content["metadata"]["ownerReferences"] = [reference_to(owner)]
    content["metadata"]["labels"] = labels or {}
    review = review_of(content, user=user, operation=operation, old=content, **more)
    review["request"]["namespace"] = owner.namespace if owner else "team"
    return decode_review(json.dumps(review).encode())
