"""What a webhook keeps of its last answers changes none of them: each is the one that a webhook
that keeps nothing gives at that moment, whatever happened before."""

import json
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.webhook.book import CurrentBook
from services.webhook.knowledge import Knowledge
from services.webhook.near_cache import NearCache
from services.webhook.occasions import Occasions
from services.webhook.requests import Requests
from services.webhook.reviewer import Reviewer, Waits
from services.webhook.waiters import Waiters
from services.worker.ledger import Ledger
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.decision import Decision
from shared.domain.errors import ErrorKind
from shared.domain.exceptions import ImageException
from shared.domain.glob import Glob
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.review import decode_review
from shared.domain.rules import Match, Mode, PolicyChoice, Rule, Rules, Tags
from shared.domain.verdict import (
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    last_error_key,
    verdict_key,
)
from tests.fakes.clock import START, FakeClock
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import CONTROLLER, PERSON, pod, review_of

pytestmark = pytest.mark.virtual_time

DIGESTS = tuple("sha256:" + letter * 64 for letter in "abc")
IMAGES = (*(f"a.b/app{n}:1@{digest}" for n, digest in enumerate(DIGESTS)), "a.b/app0:1", "auto")
QUESTIONS = (Question(), Question(policy="strict"))


def rule(mode: Mode = Mode.ENFORCE, name: str = "default", **more: Any) -> Rule:
    return msgspec.structs.replace(Rule(name=name, mode=mode, tags=Tags.ALLOW), **more)


def except_(image: str, *findings: str, ends: int) -> ImageException:
    return ImageException(image, findings, ("*",), "why", "ada", START + ends)


TEAM = Match(namespaces=(Glob("team"),))
BOOKS = (
    Rules(default=rule()),
    Rules(default=rule(Mode.WARN)),
    Rules(default=rule(), rules=(rule(Mode.AUDIT, "audited", match=TEAM),)),
    Rules(default=rule(Mode.DENY), rules=(rule(turn_grace=2_000, match=TEAM),)),
    Rules(
        default=rule(Mode.ALLOW),
        rules=(
            rule(
                name="pci",
                match=Match(labels=(("pci", "true"),)),
                policy=PolicyChoice("", "strict"),
            ),
        ),
    ),
    Rules(
        default=rule(),
        exceptions=(
            except_("a.b/app0", "CVE-1", ends=3_000),
            except_(f"a.b/app1@{DIGESTS[1]}", "all", ends=1_500),
        ),
    ),
)

Act: TypeAlias = tuple[Any, ...]
ACTS = st.one_of(
    st.tuples(st.just("time"), st.sampled_from([10, 400, 1_000, 5_001, 61_000, 700_000])),
    st.tuples(
        st.just("verdict"),
        st.integers(0, 2),
        st.sampled_from(["pass", "warn", "fail", "turned", "error"]),
        st.sampled_from(QUESTIONS),
    ),
    st.tuples(st.just("pointer"), st.integers(0, 2)),
    st.tuples(st.just("book"), st.integers(0, len(BOOKS) - 1)),
    st.tuples(
        st.just("review"),
        st.lists(st.sampled_from(IMAGES), min_size=1, max_size=3),
        st.fixed_dictionaries(
            {
                "namespace": st.sampled_from(["team", "other"]),
                "user": st.sampled_from([PERSON, CONTROLLER]),
                "dry_run": st.booleans(),
                "workload": st.booleans(),
                "pci": st.booleans(),
            }
        ),
    ),
)


class World:
    """A webhook that keeps its last answers, and the same without a memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        store = MemoryVerdictStore(clock=self.clock, leases=leases)
        sealer = PlainSealer()
        self.ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=self.clock)
        self.cache = NearCache(store=store, unsealer=sealer, clock=self.clock)
        self.book = CurrentBook(BOOKS[0])
        self.knowledge = Knowledge(
            cache=self.cache,
            requests=Requests(
                claims=MemoryRequestClaims(clock=self.clock, leases=leases),
                queue=MemoryQueue(clock=self.clock),
                clock=self.clock,
            ),
            waiters=Waiters(),
            clock=self.clock,
            rules=lambda: self.book.rules,
        )
        self.keeping = self.reviewer()

    def reviewer(self) -> Reviewer:
        """One that has seen nothing yet."""
        return Reviewer(
            knowledge=self.knowledge,
            occasions=Occasions(books=self.book),
            clock=self.clock,
            waits=Waits(person=0.0, system=0.0),
        )

    async def act(self, what: str, *how: Any) -> None:
        if what == "time":
            self.clock.advance(how[0])
        elif what == "book":
            self.book.rules_changed(BOOKS[how[0]])
        elif what == "verdict":
            await self.judge(*how)
        elif what == "pointer":
            pointer = Pointer("a.b/app0:1", self.clock.now(), digest=DIGESTS[how[0]])
            await self.ledger.write_pointer(pointer)
            self.cache.changed(pointer_key(parse_reference(pointer.reference)))
        else:
            await self.review(*how)

    async def judge(self, image: int, says: str, question: Question) -> None:
        now = self.clock.now()
        subject = Subject(f"a.b/app{image}", DIGESTS[image], "1")
        if says == "error":
            kind = ErrorKind.NOT_FOUND
            error = error_verdict(subject, question, kind=kind, message="gone", now=now)
            await self.ledger.write_verdict(error, chain="")
            self.cache.changed(last_error_key(subject, question))
            return
        action = Action.WARN if says == "warn" else Action.STOP
        verdict = Verdict(
            subject,
            question,
            Outcome.FAIL if says in ("fail", "turned") else Outcome.PASS,
            now,
            () if says == "pass" else (Finding("g", "t", "CVE-1", action, "CVE-1 found"),),
            turned_at=now if says == "turned" else None,
        )
        await self.ledger.write_verdict(verdict, chain="")
        self.cache.changed(verdict_key(subject, question))

    async def review(self, images: list[str], of: dict[str, Any]) -> None:
        content = pod(*images)
        if of["pci"]:
            content["metadata"]["labels"] = {"pci": "true"}
        review = (
            review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, content["spec"]))
            if of["workload"]
            else review_of(content)
        )
        review["request"] |= {
            "namespace": of["namespace"],
            "userInfo": {"username": of["user"]},
            "dryRun": of["dry_run"],
        }
        request = decode_review(json.dumps(review).encode())
        deadline = self.clock.monotonic() + 4
        kept = await self.keeping.review(request, deadline=deadline)
        fresh = await self.reviewer().review(request, deadline=deadline)
        assert without_age(kept) == without_age(fresh)
        assert abs(age_of(kept) - age_of(fresh)) <= 1


def age_of(decision: Decision) -> int:
    return int(decision.audit.get("verdict-age-seconds", 0))


def without_age(decision: Decision) -> Decision:
    audit = {key: value for key, value in decision.audit.items() if key != "verdict-age-seconds"}
    return msgspec.structs.replace(decision, audit=audit)


def reviews(*images: str, **of: Any) -> Act:
    asked = {"namespace": "team", "user": PERSON, "dry_run": False, "workload": False, "pci": False}
    return ("review", list(images), asked | of)


GOOD, OTHER, THIRD = IMAGES[:3]
BAD = ("verdict", 0, "error", QUESTIONS[0])


@given(st.lists(ACTS, max_size=25))
@settings(deadline=None)
# What a dry run or a workload may do, a pod may not.
@example([BAD, reviews(GOOD), reviews(GOOD, dry_run=True), reviews(GOOD)])
@example([BAD, reviews(GOOD), reviews(GOOD, workload=True), reviews(GOOD)])
@example([("book", 1), ("verdict", 0, "fail", QUESTIONS[0]), reviews(GOOD), reviews(GOOD)])
# The time that a rule grants, and an exception, end by themselves.
@example(
    [
        ("book", 3),
        ("verdict", 0, "turned", QUESTIONS[0]),
        reviews(GOOD),
        ("time", 1_000),
        reviews(GOOD),
        ("time", 1_000),
        reviews(GOOD),
    ]
)
@example(
    [
        ("book", 5),
        reviews(OTHER),
        ("time", 1_000),
        reviews(OTHER),
        ("time", 400),
        reviews(OTHER),
        ("time", 400),
        reviews(OTHER),
    ]
)
@example(
    [
        ("verdict", 0, "fail", QUESTIONS[0]),
        ("verdict", 2, "pass", QUESTIONS[0]),
        ("book", 5),
        reviews(GOOD, THIRD),
        ("time", 1_000),
        reviews(GOOD, THIRD),
        ("time", 1_000),
        ("time", 1_000),
        reviews(GOOD, THIRD),
    ]
)
# Other rules, another namespace and other labels are other questions.
@example(
    [
        ("verdict", 0, "pass", QUESTIONS[0]),
        reviews(GOOD),
        ("book", 3),
        reviews(GOOD, namespace="other"),
        ("book", 0),
        reviews(GOOD),
        ("book", 4),
        reviews(GOOD),
        reviews(GOOD, pci=True),
    ]
)
async def test_what_is_kept_changes_no_answer(acts: list[Act]) -> None:
    world = World()
    for act in acts:
        await world.act(*act)


async def answered(world: World, image: str) -> Decision:
    request = decode_review(json.dumps(review_of(pod(image))).encode())
    return await world.keeping.review(request, deadline=world.clock.monotonic() + 4)


@pytest.mark.parametrize(
    ("mode", "says"), [(Mode.ENFORCE, "pass"), (Mode.WARN, "fail"), (Mode.AUDIT, "fail")]
)
async def test_a_pod_that_may_run_is_answered_from_what_was_kept(mode: Mode, says: str) -> None:
    world = World()
    world.book.rules_changed(Rules(default=rule(mode)))
    await world.act("verdict", 0, says, QUESTIONS[0])
    assert (await answered(world, GOOD)).allowed
    first = await answered(world, GOOD)
    assert await answered(world, GOOD) is first
    world.clock.advance(1_000)
    later = await answered(world, GOOD)
    assert (later is first, later.audit["verdict-age-seconds"]) == (False, "1")
