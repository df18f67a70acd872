"""A tag that moved to what nobody judged yet (docs/design/behaviour.md 2, the last row of the
timeline): which digest its pods are pinned to, and who has the new one judged."""

import asyncio
from functools import partial

import pytest

from services.webhook.book import CurrentBook
from services.webhook.catalogue import Image
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.near_cache import NearCache
from services.webhook.outlook import Outlook
from services.webhook.pinning import Pin, Pinning
from services.webhook.requests import Requests
from services.webhook.terms import Terms
from services.webhook.waiters import Room, Waiters
from services.worker.ledger import Ledger
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.exceptions import ALL, LAST_END, ImageException
from shared.domain.pointer import DAY, MINUTE, SECOND, Index, Manifest, Pointer
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Match, Mode, PinWhat, PolicyChoice, Rule, Rules
from shared.domain.scope import Occasion
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import (
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
)
from shared.domain.why import Why
from tests.fakes.clock import FakeClock
from tests.fakes.queue import RememberingQueue
from tests.fakes.sealing import PlainSealer

OLD, NEW, AMD64, ARM64 = ("sha256:" + letter * 64 for letter in "abcd")
TAG = parse_reference("registry.corp/team/app:1")
STOP = Finding("vulnerabilities", "package", "CVE-1+openssl", Action.STOP, "CVE-1")
PCI = Rule(name="pci", policy=PolicyChoice(id="pci"), match=Match(kinds=("Pod",)))


class Rig:
    """A webhook's look-ups over stores in process, on a clock that stands still."""

    def __init__(self, *, rules: Rules | None = None, pin: PinWhat = PinWhat.PODS) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        store = MemoryVerdictStore(clock=self.clock, leases=leases)
        claims = MemoryRequestClaims(clock=self.clock, leases=leases)
        sealer = PlainSealer()
        self.rules = rules or Rules()
        self.queue = RememberingQueue(clock=self.clock)
        self.ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=self.clock)
        cache = NearCache(store=store, unsealer=sealer, clock=self.clock)
        requests = Requests(claims=claims, queue=self.queue, clock=self.clock)
        waiters, terms = Waiters(), Terms(pin=pin)
        self.knowledge = Knowledge(
            cache=cache,
            requests=requests,
            waiters=waiters,
            clock=self.clock,
            rules=lambda: self.rules,
        )
        self.outlook = Outlook(knowledge=self.knowledge, clock=self.clock, terms=terms)
        self.pinning = Pinning(
            cache=cache,
            requests=requests,
            waiters=waiters,
            clock=self.clock,
            rules=lambda: self.rules,
            room=Room(places=0),
        )

    async def point(
        self, digest: str | None = NEW, *, previous: str | None = OLD, age: int = 0
    ) -> None:
        """What a worker wrote, `age` milliseconds ago."""
        await self.ledger.write_pointer(
            Pointer(
                TAG.tagged,
                self.clock.now() - age,
                digest,
                is_index=digest == NEW and await self.ledger.index(NEW) is not None,
                previous=previous,
                error=None if digest else ErrorKind.NOT_FOUND,
            )
        )

    async def judge(
        self, digest: str, outcome: Outcome = Outcome.PASS, *, policy: str = "", age: int = 0
    ) -> None:
        verdict = Verdict(
            Subject(TAG.repository, digest, TAG.tag),
            Question(policy=policy),
            outcome,
            evaluated_at=self.clock.now() - age,
            findings=() if outcome is Outcome.PASS else (STOP,),
        )
        await self.ledger.write_verdict(verdict, chain="")

    async def fail_to_judge(self, digest: str, kind: ErrorKind) -> None:
        await self.ledger.write_verdict(
            error_verdict(
                Subject(TAG.repository, digest, TAG.tag),
                Question(),
                kind=kind,
                message="because",
                now=self.clock.now(),
            ),
            chain="",
        )

    async def pin(self, *, always: bool = False, asks: bool = True) -> Pin:
        book = CurrentBook(self.rules)()
        scope = book.scope(Occasion("team", "ada", "Pod"))
        pin = await self.pinning.pin(
            Image(str(TAG), TAG, always, Question()),
            until=self.clock.monotonic(),
            asks=asks,
            foresee=partial(self.outlook.of, scope=scope, book=book),
        )
        assert pin is not None
        return pin

    async def pinned(self, **options: bool) -> str:
        """`old` or `new`."""
        pin = await self.pin(**options)
        assert (pin.reference.tagged, pin.instead is None) == (
            TAG.tagged,
            pin.reference.digest == NEW,
        )
        return {OLD: "old", NEW: "new"}[pin.reference.digest or ""]

    async def review(
        self, reference: ImageReference, *, always: bool = False, asks: bool = True
    ) -> State:
        """What is known of an image that a pod runs, as /validate looks it up."""
        image = Image(str(reference), reference, always, Question())
        if (glimpse := self.knowledge.glance(image, asks=asks)) is not None:
            return glimpse.judgement.state
        patience = Patience(until=self.clock.monotonic(), asks=asks, waits=False)
        return (await self.knowledge.learn(image, patience)).state

    async def asked(self) -> list[Step]:
        """What was asked for behind answers."""
        for _ in range(10):
            await asyncio.sleep(0)
        return self.queue.published


@pytest.fixture
async def rig() -> Rig:
    return Rig()


def at(digest: str) -> ImageReference:
    return parse_reference(f"{TAG}@{digest}")


# Which digest a pod is pinned to.


async def test_the_one_before_until_the_new_one_has_a_verdict(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point()
    pin = await rig.pin()
    assert (pin.reference, pin.instead) == (at(OLD), State.PENDING)
    await rig.judge(NEW)
    rig.clock.advance(10 * SECOND)
    pin = await rig.pin()
    assert (pin.reference, pin.instead) == (at(NEW), None)


async def test_a_new_digest_that_fails_is_pinned_and_denied_for_its_findings(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.judge(NEW, Outcome.FAIL)
    await rig.point()
    assert await rig.pinned() == "new"


@pytest.mark.parametrize("kind", [ErrorKind.ANALYSIS_FAILED, ErrorKind.TRANSIENT])
async def test_one_that_could_not_be_judged_has_no_verdict_yet(rig: Rig, kind: ErrorKind) -> None:
    """However often it is tried, and whether it was a moment ago."""
    await rig.judge(OLD)
    await rig.point()
    await rig.fail_to_judge(NEW, kind)
    for _ in range(5):
        assert await rig.pinned() == "old"
        rig.clock.advance(5 * MINUTE)


async def test_where_the_kubelet_asks_the_registry_the_new_one_is_waited_for(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point()
    assert await rig.pinned(always=True) == "new"


@pytest.mark.parametrize("known", [None, Outcome.FAIL])
async def test_one_before_that_would_not_pass_either_helps_nobody(
    rig: Rig, known: Outcome | None
) -> None:
    if known is not None:
        await rig.judge(OLD, known)
    await rig.point()
    assert await rig.pinned() == "new"


async def test_one_before_whose_verdict_ended_is_as_if_it_had_none(rig: Rig) -> None:
    await rig.judge(OLD, age=6 * DAY)
    await rig.point()
    assert await rig.pinned() == "old"
    rig.clock.advance(DAY)
    await rig.point()
    assert await rig.pinned() == "new"


async def test_one_that_the_registry_has_no_more_is_never_pinned(rig: Rig) -> None:
    """Then the pointer does not name it (services.worker.previous)."""
    await rig.judge(OLD)
    await rig.point(previous=None)
    assert await rig.pinned() == "new"


async def test_a_tag_that_is_gone_is_not_pinned_to_what_it_was(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point(None)
    with pytest.raises(AssertionError):
        await rig.pin()


async def test_a_dry_run_gets_the_same(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point(age=DAY)
    assert await rig.pinned(asks=False) == "old"
    assert not await rig.asked()


@pytest.mark.parametrize(
    ("old", "new", "pinned"),
    [
        (["", "pci"], [], "old"),
        (["", "pci"], ["pci"], "old"),
        (["", "pci"], ["", "pci"], "new"),
        ([""], [], "new"),
        (["pci"], [], "new"),
    ],
)
async def test_every_rule_of_the_image_counts(old: list[str], new: list[str], pinned: str) -> None:
    rig = Rig(rules=Rules(rules=(PCI,)))
    for policy in old:
        await rig.judge(OLD, policy=policy)
    for policy in new:
        await rig.judge(NEW, policy=policy)
    await rig.point()
    assert await rig.pinned() == pinned


async def test_a_rule_that_denies_nothing_is_not_waited_for() -> None:
    warns = Rule(name="warns", mode=Mode.WARN, policy=PolicyChoice(id="new"))
    rig = Rig(rules=Rules(default=warns, rules=(PCI,)))
    await rig.judge(OLD, policy="pci")
    await rig.judge(NEW, policy="pci")
    await rig.point()
    assert await rig.pinned() == "new"


def exception(image: str, *findings: str) -> ImageException:
    return ImageException(image, findings, ("*",), "no fix yet", "team", expires=LAST_END)


async def test_an_exception_for_all_of_the_new_one_is_its_verdict() -> None:
    rig = Rig(rules=Rules(exceptions=(exception(f"{TAG.repository}@{NEW}", ALL),)))
    await rig.judge(OLD)
    await rig.point()
    assert await rig.pinned() == "new"


async def test_one_before_that_failed_and_is_excepted_may_run() -> None:
    rig = Rig(rules=Rules(exceptions=(exception(TAG.repository, STOP.trigger_id),)))
    await rig.judge(OLD, Outcome.FAIL)
    await rig.point()
    assert await rig.pinned() == "old"


async def test_a_new_index_is_judged_once_each_manifest_for_this_cluster_is() -> None:
    rig = Rig(rules=Rules(platforms=("linux/amd64", "linux/arm64")))
    await rig.judge(OLD)
    machines = Manifest(AMD64, "linux", "amd64"), Manifest(ARM64, "linux", "arm64")
    await rig.ledger.write_index(Index(NEW, machines, rig.clock.now()))
    await rig.point()
    await rig.judge(AMD64)
    assert await rig.pinned() == "old"
    await rig.judge(ARM64)
    rig.clock.advance(10 * SECOND)
    assert await rig.pinned() == "new"


# Who has the new one judged.


async def test_a_pod_of_the_one_before_has_the_tag_judged_behind_the_answer(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point()
    assert await rig.review(at(OLD)) is State.PASS
    (step,) = await rig.asked()
    assert (step.kind, step.lane, step.reference) == (StepKind.REQUEST, Lane.PREWARM, str(TAG))
    assert (step.question, step.why) == (Question(), Why.REFRESH)


async def test_it_is_asked_for_once_however_many_pods_come(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point()
    for _ in range(20):
        assert await rig.review(at(OLD)) is State.PASS
        rig.clock.advance(SECOND)
    assert len(await rig.asked()) == 1


async def test_a_scan_that_was_lost_is_asked_for_again(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point()
    for _ in range(3):
        await rig.review(at(OLD))
        await rig.asked()
        rig.clock.advance(MINUTE)
    assert len(await rig.asked()) == 3


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
async def test_what_is_judged_is_not_asked_for(rig: Rig, outcome: Outcome) -> None:
    await rig.judge(OLD)
    await rig.judge(NEW, outcome)
    await rig.point()
    await rig.review(at(OLD))
    assert not await rig.asked()


async def test_what_failed_a_moment_ago_rests(rig: Rig) -> None:
    await rig.judge(OLD)
    await rig.point()
    await rig.fail_to_judge(NEW, ErrorKind.TRANSIENT)
    await rig.review(at(OLD))
    assert not await rig.asked()
    rig.clock.advance(MINUTE)
    await rig.review(at(OLD))
    assert len(await rig.asked()) == 1


@pytest.mark.parametrize(
    ("reference", "options"),
    [
        (at(OLD), {"asks": False}),
        (at(OLD), {"always": True}),
        (at(NEW), {}),
        (parse_reference(f"{TAG.repository}@{OLD}"), {}),
        (parse_reference(f"{TAG.repository}:2@{OLD}"), {}),
    ],
)
async def test_nothing_is_asked_for_a_dry_run_or_a_pod_that_mutate_would_not_have_pinned_so(
    rig: Rig, reference: ImageReference, options: dict[str, bool]
) -> None:
    for digest in (OLD, NEW):
        for tag in (None, "1", "2"):
            subject = Subject(TAG.repository, digest, tag)
            verdict = Verdict(subject, Question(), Outcome.PASS, rig.clock.now())
            if subject != Subject(TAG.repository, NEW, "1"):
                await rig.ledger.write_verdict(verdict, chain="")
    await rig.point()
    assert await rig.review(reference, **options) is State.PASS
    assert not await rig.asked()
