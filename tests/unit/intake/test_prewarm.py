"""Asking before anybody wants it: the claim, then the queue, each of which may be away."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.allowed import Allowed
from services.intake.asking import CLAIM_LIFE, Asking
from services.intake.prewarm import AT_ONCE, Prewarm
from services.intake.pushes import Found, Ignored, Push, Taken, Tally
from services.intake.replays import Replays
from shared.adapters.memory.claims import MemoryScanLeases
from shared.domain.errors import (
    QueueFull,
    QueueUnavailable,
    QueueUnconfirmed,
    StoreError,
    StoreRefused,
    StoreUnreachable,
)
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import parse_reference
from shared.domain.rules import MAX_QUESTIONS, Match, Mode, PolicyChoice, Requirement, Rule, Rules
from shared.domain.step import Lane, Step, StepKind, request_claim
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.claims import Claim
from tests.fakes.clock import FakeClock
from tests.fakes.pushes import DIGEST
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.intake.backends import Claims, Queue

pytestmark = pytest.mark.virtual_time

APP = "registry.corp/team/app:1"
AWAY = StoreUnreachable("Redis is away")
REFUSALS = [QueueFull("full"), QueueUnavailable("no broker")]


class Rig:
    def __init__(
        self, *, rules: Rules | None = None, repositories: Sequence[str] = (), within: float = 0.4
    ) -> None:
        self.clock = FakeClock()
        self.claims = Claims(clock=self.clock, leases=MemoryScanLeases(clock=self.clock))
        self.queue = Queue(self.clock)
        patterns = [ImagePattern(pattern) for pattern in repositories]
        self.prewarm = Prewarm(
            asking=Asking(claims=self.claims, queue=self.queue),
            clock=self.clock,
            rules=lambda: rules or Rules(),
            allowed=Allowed(rules=lambda: rules or Rules(), repositories=patterns),
            scanner="anchore",
            replays=Replays(clock=self.clock, life=60),
            within=within,
        )

    async def take(self, *pushes: Push) -> Tally:
        return await self.prewarm.take(Found(pushes=pushes))

    async def one(self, push: Push) -> Taken:
        """What became of one push."""
        taken = (await self.take(push)).taken
        assert taken.total() == 1
        return next(iter(taken))

    async def overdue(self) -> list[Step]:
        """What the reconciler would publish."""
        self.clock.advance(15_000)
        return await self.claims.overdue(age=15_000, limit=100)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def push(image: str = APP, *, event: bytes = b"", announced: str = DIGEST) -> Push:
    return Push(parse_reference(image), announced=announced, event=event)


async def test_a_push_becomes_one_prewarm_request_by_its_tag(rig: Rig) -> None:
    assert await rig.one(push()) is Taken.QUEUED
    (step,) = rig.queue.steps
    assert (step.kind, step.lane, step.why) == (StepKind.REQUEST, Lane.PREWARM, Why.PREWARM)
    assert (step.reference, step.announced) == (APP, DIGEST)
    assert step.claim == request_claim(StepKind.REQUEST, parse_reference(APP), Question())


def questions_of(rig: Rig) -> list[Question]:
    return [step.question for step in rig.queue.steps]


async def test_a_push_is_asked_about_by_every_rule_that_its_image_may_come_under() -> None:
    pci = Rule("pci", policy=PolicyChoice("pci", "strict"))
    elsewhere = Rule("other", match=Match(images=(ImagePattern("ghcr.io/**"),)))
    same = Rule("again", match=Match(namespaces=(Glob("a"),)), policy=pci.policy)
    analysed = Rule("lab", require=Requirement.ANALYSIS, match=Match(users=(Glob("ada"),)))
    rig = Rig(rules=Rules(rules=(pci, elsewhere, same, analysed)))
    tally = await rig.take(push())
    assert questions_of(rig) == [
        Question(account="pci", policy="strict"),
        Question(requirement="analysis"),
        Question(),
    ]
    assert {step.announced for step in rig.queue.steps} == {DIGEST}
    assert len({step.claim for step in rig.queue.steps}) == 3
    assert (tally.taken, tally.images) == ({Taken.QUEUED: 1}, [APP])


async def test_what_is_asked_about_one_image_is_bounded() -> None:
    rules = tuple(Rule(str(n), policy=PolicyChoice(id=str(n))) for n in range(20))
    rig = Rig(rules=Rules(rules=rules))
    assert await rig.one(push()) is Taken.QUEUED
    assert len(rig.queue.steps) == MAX_QUESTIONS


async def test_an_image_that_no_rule_asks_about_is_left_alone() -> None:
    rig = Rig(rules=Rules(default=Rule(mode=Mode.DENY)))
    tally = await rig.take(push())
    assert (tally.taken, tally.ignored) == ({}, {Ignored.UNASKED: 1})
    assert rig.claims.asked == 0


async def test_of_several_questions_only_those_are_asked_that_are_not_under_way() -> None:
    rig = Rig(rules=Rules(rules=(Rule("pci", policy=PolicyChoice("pci")),)))
    await rig.take(push())
    await rig.claims.begin(rig.queue.steps[0].claim)
    assert await rig.one(push()) is Taken.QUEUED
    assert questions_of(rig) == [Question(account="pci"), Question(), Question(account="pci")]
    assert await rig.one(push()) is Taken.UNDER_WAY


async def test_an_image_counts_as_the_worst_that_befell_one_of_its_questions() -> None:
    rig = Rig(rules=Rules(rules=(Rule("pci", policy=PolicyChoice("pci")),)))
    rig.queue.refused = [Question(account="pci")]
    tally = await rig.take(push(event=b"e"))
    assert (tally.taken, tally.images) == ({Taken.REMEMBERED: 1}, [])
    rig.claims.trouble = AWAY
    assert (await rig.take(push("a.corp/b:1", event=b"f"))).taken == {Taken.AWAY: 1}
    rig.claims.trouble, rig.queue.refused = None, []
    assert await rig.one(push("a.corp/b:1", event=b"f")) is Taken.QUEUED


async def test_what_is_asked_for_and_not_begun_is_under_way(rig: Rig) -> None:
    await rig.take(push())
    assert await rig.one(push()) is Taken.UNDER_WAY
    assert len(rig.queue.steps) == 1


async def test_a_push_after_the_request_was_begun_is_asked_for_anew(rig: Rig) -> None:
    await rig.take(push())
    await rig.claims.begin(rig.queue.steps[0].claim)
    assert await rig.one(push()) is Taken.QUEUED


async def test_a_review_can_soon_ask_on_its_own_lane_while_the_prewarm_lane_is_long(
    rig: Rig,
) -> None:
    await rig.take(push())
    step = rig.queue.steps[0]
    assert await rig.claims.claim(step.claim, step, life=1) is Claim.HELD
    rig.clock.advance(CLAIM_LIFE)
    assert await rig.claims.claim(step.claim, step, life=1) is Claim.TAKEN


async def test_a_replay_asks_nobody(rig: Rig) -> None:
    await rig.take(push(event=b"e"))
    await rig.claims.begin(rig.queue.steps[0].claim)
    rig.clock.advance(59_000)
    assert await rig.one(push(event=b"e")) is Taken.REPLAYED
    assert (rig.claims.asked, len(rig.queue.steps)) == (1, 1)


async def test_another_event_of_the_same_image_is_no_replay(rig: Rig) -> None:
    await rig.take(push(event=b"e"))
    await rig.claims.begin(rig.queue.steps[0].claim)
    assert await rig.one(push(event=b"f")) is Taken.QUEUED


async def test_one_image_of_an_envelope_is_asked_for_once_by_its_last_event(rig: Rig) -> None:
    tally = await rig.take(push(announced="sha256:old"), push("a.corp/b:1"), push())
    assert tally.taken == {Taken.QUEUED: 2}
    assert tally.ignored == {Ignored.REPEATED: 1}
    assert rig.queue.steps[0].announced == DIGEST


async def test_an_envelope_with_an_image_twice_costs_nothing_when_it_comes_again(rig: Rig) -> None:
    twice = (push(event=b"1"), push(event=b"2"))
    await rig.take(*twice)
    await rig.claims.begin(rig.queue.steps[0].claim)
    assert (await rig.take(*twice)).taken == {Taken.REPLAYED: 2}
    assert (rig.claims.asked, len(rig.queue.steps)) == (1, 1)


async def test_images_of_an_envelope_are_asked_for_side_by_side(rig: Rig) -> None:
    rig.claims.wait = 0.01
    await rig.take(*(push(f"a.corp/b:{n}") for n in range(1_000)))
    assert 1 < rig.claims.most_at_once <= 256
    assert len(rig.queue.steps) == 1_000


@pytest.mark.parametrize("trouble", [AWAY, StoreRefused("read only")])
async def test_while_the_store_is_away_it_is_published_without_a_claim(
    rig: Rig, trouble: StoreError
) -> None:
    rig.claims.trouble = trouble
    tally = await rig.take(push())
    assert tally.taken == {Taken.QUEUED: 1}
    assert tally.troubles == {"store": str(trouble)}
    assert len(rig.queue.steps) == 1


@pytest.mark.parametrize("trouble", REFUSALS)
async def test_while_the_queue_is_away_the_store_remembers_it_and_the_claim_is_free(
    rig: Rig, trouble: Exception
) -> None:
    rig.queue.trouble = trouble
    assert await rig.one(push()) is Taken.REMEMBERED
    (step,) = await rig.overdue()
    assert step.reference == APP
    assert await rig.claims.claim(step.claim, step, life=1) is Claim.TAKEN


async def test_an_unconfirmed_publish_keeps_its_claim(rig: Rig) -> None:
    rig.queue.trouble = QueueUnconfirmed("silence")
    assert await rig.one(push()) is Taken.REMEMBERED
    rig.queue.trouble = None
    assert await rig.one(push()) is Taken.UNDER_WAY
    assert [step.reference for step in await rig.overdue()] == [APP]


@pytest.mark.parametrize("trouble", [*REFUSALS, QueueUnconfirmed("silence")])
async def test_with_both_away_it_is_not_taken_and_the_same_event_is_taken_later(
    rig: Rig, trouble: Exception
) -> None:
    rig.claims.trouble, rig.queue.trouble = AWAY, trouble
    tally = await rig.take(push(event=b"e"))
    assert tally.taken == {Taken.AWAY: 1}
    assert tally.troubles == {"store": str(AWAY), "queue": str(trouble)}
    rig.claims.trouble = rig.queue.trouble = None
    assert await rig.one(push(event=b"e")) is Taken.QUEUED


async def test_of_an_envelope_that_comes_again_only_the_rest_is_asked_for(rig: Rig) -> None:
    first = push("a.corp/b:1", event=b"1")
    await rig.take(first)
    rig.claims.trouble, rig.queue.trouble = AWAY, REFUSALS[0]
    both = (first, push("a.corp/b:2", event=b"2"))
    assert (await rig.take(*both)).taken == {Taken.REPLAYED: 1, Taken.AWAY: 1}
    rig.claims.trouble = rig.queue.trouble = None
    assert (await rig.take(*both)).taken == {Taken.REPLAYED: 1, Taken.QUEUED: 1}


async def test_a_store_that_hangs_does_not_hold_the_answer() -> None:
    rig = Rig(within=0.05)
    rig.claims.wait = 60
    async with asyncio.timeout(5):
        tally = await rig.take(push(event=b"e"), push("a.corp/b:1"))
    assert tally.taken == {Taken.AWAY: 2}
    assert tally.troubles == {"deadline": "not done within 0.05 s"}
    assert rig.claims.at_once == 0
    rig.claims.wait = 0
    assert await rig.one(push(event=b"e")) is Taken.QUEUED


async def test_images_that_wait_for_their_turn_are_no_tasks_and_every_turn_is_given_back() -> None:
    rig = Rig(within=0.5)
    rig.claims.wait = 60
    many = [push(f"a.corp/b:{number}") for number in range(3 * AT_ONCE)]
    taking = asyncio.create_task(rig.take(*many))
    await asyncio.sleep(0.1)
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("prewarm ")]
    assert len(tasks) == rig.claims.at_once == AT_ONCE
    assert (await taking).taken == {Taken.AWAY: len(many)}
    rig.claims.wait = 0
    assert (await rig.take(*many[:AT_ONCE])).taken == {Taken.QUEUED: AT_ONCE}


async def test_a_queue_that_hangs_does_not_hold_the_answer_and_the_store_remembers() -> None:
    rig = Rig(within=0.05)
    rig.queue.wait = 60
    async with asyncio.timeout(5):
        tally = await rig.take(push(), push("a.corp/b:1"))
    assert tally.taken == {Taken.REMEMBERED: 2}
    assert {step.reference for step in await rig.overdue()} == {APP, "a.corp/b:1"}


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("registry.corp/team/app:1", True),
        ("registry.corp/team/deep/er/app:1", True),
        ("registry.corp/other/app:1", False),
        ("registry.corp/teams/app:1", False),
        ("registry.corp:5000/team/app:1", False),
        ("evil.corp/registry.corp/team/app:1", False),
        ("ghcr.io/owner/exact:1", True),
        ("ghcr.io/owner/exact2:1", False),
        ("quay.io/team/app:1", True),
        ("quay.io/team/deep/app:1", False),
    ],
)
async def test_only_allowed_repositories_are_asked_for(image: str, allowed: bool) -> None:
    rig = Rig(repositories=["registry.corp/team/**", "ghcr.io/owner/exact", "quay.io/*/*"])
    tally = await rig.take(push(image))
    assert tally.ignored[Ignored.NOT_ALLOWED] == (not allowed)
    assert (rig.claims.asked, len(rig.queue.steps)) == ((1, 1) if allowed else (0, 0))


async def test_a_registry_that_the_rules_do_not_allow_is_asked_for_nothing() -> None:
    rig = Rig(rules=Rules(allow_registries=("registry.corp",)), repositories=["**"])
    tally = await rig.take(push(), push("evil.corp/team/app:1"))
    assert tally.ignored == {Ignored.NOT_ALLOWED: 1}
    assert [step.reference for step in rig.queue.steps] == [APP]


names = st.from_regex(r"[a-c]{1,2}\.corp(:5000)?/[a-c]{1,2}(/[a-c])?:[a-c]", fullmatch=True)


@given(st.lists(names, max_size=20))
def test_whatever_is_pushed_only_what_is_allowed_is_published_each_image_once(
    images: list[str],
) -> None:
    rig = Rig(rules=Rules(allow_registries=("a.corp", "b.corp:5000")), repositories=["*/a/*"])

    async def take() -> Tally:
        return await rig.take(*(push(image) for image in images))

    tally = in_virtual_time(take())
    right = {image for image in images if image.startswith(("a.corp/a/", "b.corp:5000/a/"))}
    assert {step.reference for step in rig.queue.steps} == right
    assert len(rig.queue.steps) == len(right) == len(tally.images)
    assert tally.taken.total() + tally.ignored.total() == len(images)
