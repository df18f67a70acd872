"""What a notice costs: a step for each question that is meant, once in a while, and no more."""

import asyncio

import pytest

from services.intake.allowed import Allowed
from services.intake.asking import Asking
from services.intake.hearing import (
    REFRESH_EVERY,
    REFRESHES,
    REFRESHES_AT_ONCE,
    WAKE_EVERY,
    WAKES_AT_ONCE,
    Hearing,
)
from services.intake.notices import Heard, Kind, Notice
from shared.adapters.memory.claims import MemoryScanLeases
from shared.domain.errors import QueueFull, QueueUnavailable, QueueUnconfirmed, StoreUnreachable
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import parse_reference
from shared.domain.rules import Match, Mode, PolicyChoice, Rule, Rules
from shared.domain.step import Lane, StepKind, request_claim
from shared.domain.verdict import Question, Subject
from shared.domain.why import Why
from shared.ports.claims import Claim
from tests.fakes.clock import FakeClock
from tests.unit.intake.backends import Claims, Queue

pytestmark = pytest.mark.virtual_time

DIGEST = "sha256:" + "7" * 64
APP = Subject("registry.corp/team/app", DIGEST, "1")
REFERENCE = f"registry.corp/team/app:1@{DIGEST}"
AWAY = StoreUnreachable("Redis is away")
CHANGES = [Kind.POLICY, Kind.VULNERABILITIES]


class Rig:
    def __init__(
        self,
        rules: Rules | None = None,
        *,
        repositories: tuple[str, ...] = (),
        within: float = 5.0,
        beside: "Rig | None" = None,
    ) -> None:
        """`beside`: another intake, on the same store and queue."""
        rules = rules or Rules()
        self.clock: FakeClock = beside.clock if beside else FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.claims: Claims = beside.claims if beside else Claims(clock=self.clock, leases=leases)
        self.queue: Queue = beside.queue if beside else Queue(self.clock)
        patterns = [ImagePattern(pattern) for pattern in repositories]
        self.hearing = Hearing(
            asking=Asking(claims=self.claims, queue=self.queue),
            clock=self.clock,
            rules=lambda: rules,
            allowed=Allowed(rules=lambda: rules, repositories=patterns),
            scanner="anchore",
            account="admin",
            within=within,
        )

    async def hear(
        self, kind: Kind = Kind.ANALYSIS, *, subject: Subject = APP, account: str = "admin"
    ) -> Heard:
        return (await self.hearing.hear(Notice(kind, account, subject))).heard


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_an_analysis_that_is_over_wakes_its_scan_in_the_lane_of_checks(rig: Rig) -> None:
    assert await rig.hear() is Heard.QUEUED
    (step,) = rig.queue.steps
    assert (step.kind, step.lane, step.why) == (StepKind.WAKE, Lane.CHECK, Why.ADMISSION)
    assert (step.subject, step.question, step.reference) == (APP, Question(), REFERENCE)
    # Nobody need publish it again: without it the next check comes all the same.
    assert (step.claim, rig.claims.asked) == ("", 0)


async def test_a_scan_without_a_tag_is_woken_by_its_digest_alone(rig: Rig) -> None:
    untagged = Subject(APP.repository, DIGEST)
    await rig.hear(subject=untagged)
    assert rig.queue.steps[0].subject == untagged
    assert rig.queue.steps[0].reference == f"registry.corp/team/app@{DIGEST}"


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_verdict_that_may_have_changed_is_a_refresh_behind_people(
    rig: Rig, kind: Kind
) -> None:
    assert await rig.hear(kind) is Heard.QUEUED
    (step,) = rig.queue.steps
    assert (step.kind, step.lane, step.why) == (StepKind.REQUEST, Lane.PREWARM, Why.NOTICE)
    assert (step.reference, step.subject, step.question) == (REFERENCE, None, Question())
    asked = request_claim(StepKind.REQUEST, parse_reference(REFERENCE), Question())
    assert step.claim == f"notice:{asked}"


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_refresh_that_waits_already_is_under_way_whoever_asked(
    rig: Rig, kind: Kind
) -> None:
    await rig.hear(kind)
    assert await Rig(beside=rig).hear(kind) is Heard.UNDER_WAY
    assert len(rig.queue.steps) == 1


@pytest.mark.parametrize("kind", CHANGES)
async def test_what_a_push_or_a_review_asked_for_is_no_refresh(rig: Rig, kind: Kind) -> None:
    # It would find a fresh verdict and end.
    await rig.hear(kind)
    (step,) = rig.queue.steps
    asked = request_claim(StepKind.REQUEST, parse_reference(REFERENCE), Question())
    assert await rig.claims.claim(asked, step, life=1_000) is Claim.TAKEN


# Whose analysis it is

PAYMENTS = Rule("payments", policy=PolicyChoice("payments", "strict"))
TWO_ACCOUNTS = Rules(rules=(PAYMENTS, Rule("lab", policy=PolicyChoice("payments", "lax"))))


async def test_each_question_to_the_notices_account_is_woken_and_no_other() -> None:
    rig = Rig(TWO_ACCOUNTS)
    await rig.hear(account="payments")
    assert [step.question for step in rig.queue.steps] == [
        Question(account="payments", policy="strict"),
        Question(account="payments", policy="lax"),
    ]


async def test_where_a_rule_names_no_account_ours_is_meant() -> None:
    rig = Rig(TWO_ACCOUNTS)
    await rig.hear(account="admin")
    assert [step.question for step in rig.queue.steps] == [Question()]


@pytest.mark.parametrize("account", ["", "payment", "Admin", "admin ", "nobody"])
async def test_an_account_that_no_rule_asks_costs_nothing(account: str) -> None:
    rig = Rig(TWO_ACCOUNTS)
    assert await rig.hear(account=account) is Heard.OTHER_ACCOUNT
    assert rig.queue.steps == []


async def test_what_the_rules_do_not_allow_or_ask_costs_nothing() -> None:
    strict = Rig(Rules(allow_registries=("ghcr.io",)))
    assert await strict.hear() is Heard.NOT_ALLOWED
    elsewhere = Rig(repositories=("registry.corp/other/**",))
    assert await elsewhere.hear() is Heard.NOT_ALLOWED
    lax = Rig(Rules(default=Rule(mode=Mode.ALLOW)))
    assert await lax.hear() is Heard.UNASKED
    for rig in (strict, elsewhere, lax):
        assert (rig.queue.steps, rig.claims.asked) == ([], 0)


async def test_only_rules_about_the_image_are_asked() -> None:
    other = Match(images=(ImagePattern("ghcr.io/**"),))
    named = Match(namespaces=(Glob("a"),))
    rig = Rig(
        Rules(
            rules=(
                Rule("other", match=other, policy=PolicyChoice(id="other")),
                Rule("named", match=named, policy=PolicyChoice(id="named")),
            )
        )
    )
    await rig.hear()
    assert [step.question.policy for step in rig.queue.steps] == ["named", ""]


# How much of it


@pytest.mark.parametrize(
    ("kind", "every"), [(Kind.ANALYSIS, WAKE_EVERY), (Kind.POLICY, REFRESH_EVERY)]
)
async def test_one_image_is_looked_at_once_in_a_while(rig: Rig, kind: Kind, every: float) -> None:
    assert await rig.hear(kind) is Heard.QUEUED
    for _ in range(100):
        assert await rig.hear(kind) is Heard.REPEATED
    rig.clock.advance(int(every * 1000) - 1)
    assert await rig.hear(kind) is Heard.REPEATED
    rig.clock.advance(1)
    assert await rig.hear(kind) in (Heard.QUEUED, Heard.UNDER_WAY)
    assert len(rig.queue.steps) <= 2


async def test_the_same_notice_many_times_at_once_is_one_step(rig: Rig) -> None:
    rig.queue.wait = 0.05
    heard = await asyncio.gather(*(rig.hear() for _ in range(50)))
    assert sorted(heard) == [Heard.QUEUED] + [Heard.REPEATED] * 49
    assert len(rig.queue.steps) == 1


async def test_both_kinds_of_a_change_are_one_refresh(rig: Rig) -> None:
    assert await rig.hear(Kind.POLICY) is Heard.QUEUED
    assert await rig.hear(Kind.VULNERABILITIES) is Heard.REPEATED


async def test_a_wake_is_none_of_a_refreshs_and_the_other_way_round(rig: Rig) -> None:
    assert await rig.hear(Kind.ANALYSIS) is Heard.QUEUED
    assert await rig.hear(Kind.POLICY) is Heard.QUEUED


def subject(number: int) -> Subject:
    return Subject(APP.repository, f"sha256:{number:064x}", "1")


async def test_a_feed_that_changes_floods_no_lane(rig: Rig) -> None:
    heard = [await rig.hear(Kind.VULNERABILITIES, subject=subject(n)) for n in range(2_000)]
    assert heard.count(Heard.QUEUED) == REFRESHES_AT_ONCE
    assert heard.count(Heard.OVER) == 2_000 - REFRESHES_AT_ONCE
    rig.clock.advance(10_000)
    again = [await rig.hear(Kind.VULNERABILITIES, subject=subject(n)) for n in range(2_000)]
    assert again.count(Heard.QUEUED) == int(10 * REFRESHES)
    assert {step.lane for step in rig.queue.steps} == {Lane.PREWARM}


async def test_wakes_are_bounded_too_and_not_by_what_else_is_heard(rig: Rig) -> None:
    for number in range(2_000):
        await rig.hear(Kind.POLICY, subject=subject(number))
    heard = [await rig.hear(subject=subject(number)) for number in range(2_000)]
    assert heard.count(Heard.QUEUED) == WAKES_AT_ONCE


async def test_what_was_too_much_may_be_asked_for_when_it_is_told_again(rig: Rig) -> None:
    for number in range(WAKES_AT_ONCE):
        await rig.hear(subject=subject(number))
    assert await rig.hear() is Heard.OVER
    rig.clock.advance(1_000)
    assert await rig.hear() is Heard.QUEUED


# What may be away

REFUSALS = [QueueFull("full"), QueueUnavailable("no broker"), QueueUnconfirmed("no confirm")]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_wake_that_the_queue_does_not_take_comes_again(
    rig: Rig, refusal: Exception
) -> None:
    rig.queue.trouble = refusal
    outcome = await rig.hearing.hear(Notice(Kind.ANALYSIS, "admin", APP))
    assert (outcome.heard, outcome.troubles) == (Heard.AWAY, {"queue": str(refusal)})
    rig.queue.trouble = None
    assert await rig.hear() is Heard.QUEUED


async def test_a_wake_needs_no_store(rig: Rig) -> None:
    rig.claims.trouble = AWAY
    assert await rig.hear() is Heard.QUEUED


async def test_a_refresh_is_remembered_by_the_store_or_taken_by_the_queue() -> None:
    rig = Rig()
    rig.queue.trouble = QueueUnavailable("no broker")
    assert await rig.hear(Kind.POLICY) is Heard.REMEMBERED
    rig = Rig()
    rig.claims.trouble = AWAY
    assert await rig.hear(Kind.POLICY) is Heard.QUEUED
    rig.queue.trouble = QueueUnavailable("no broker")
    assert await rig.hear(Kind.POLICY, subject=subject(1)) is Heard.AWAY


async def test_of_several_questions_only_those_that_were_not_taken_come_again() -> None:
    rig = Rig(TWO_ACCOUNTS)
    rig.queue.refused = [Question(account="payments", policy="lax")]
    assert await rig.hear(account="payments") is Heard.AWAY
    rig.queue.refused = []
    assert await rig.hear(account="payments") is Heard.QUEUED
    assert [step.question.policy for step in rig.queue.steps] == ["strict", "lax"]


async def test_who_tells_does_not_wait_for_a_slow_queue() -> None:
    rig = Rig(within=0.05)
    rig.queue.wait = 30.0
    async with asyncio.timeout(10):
        outcome = await rig.hearing.hear(Notice(Kind.ANALYSIS, "admin", APP))
    assert outcome.heard is Heard.AWAY
    assert outcome.troubles == {"deadline": "not done within 0.05 s"}


async def test_whoever_hangs_up_half_way_is_heard_when_he_comes_again(rig: Rig) -> None:
    rig.queue.wait = 30.0
    hearing = asyncio.create_task(rig.hear())
    await asyncio.sleep(0.05)
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    rig.queue.wait = 0.0
    assert await rig.hear() is Heard.QUEUED
