"""What is in use is judged anew in time, at a pace, and not while others are behind."""

import asyncio
import itertools
import logging

import pytest

from services.worker.in_use import Stand
from services.worker.refresh import ASKED_AGAIN, BUSY, Refreshed, Waits
from shared.domain.errors import (
    ErrorKind,
    PermanentFailure,
    QueueFull,
    QueueUnavailable,
    QueueUnconfirmed,
    TakenForDown,
    TransientFailure,
)
from shared.domain.pointer import MINUTE, Manifest
from shared.domain.rules import Rules
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import Question
from shared.domain.why import Why
from tests.unit.worker.care_rig import DUE, QUESTION, REPOSITORY, A, B, C, CareRig
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

PINNED = f"{REPOSITORY}:1@{A}"


async def due(rig: CareRig, images: int) -> list[str]:
    return [await rig.used_and_judged(number, age=DUE) for number in range(images)]


async def test_what_is_due_is_asked_for_as_anybody_asks() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    await rig.refresh.once()
    (step,) = rig.queue.published
    assert (step.kind, step.lane, step.why) == (StepKind.REQUEST, Lane.PREWARM, Why.REFRESH)
    assert (step.reference, step.question) == (PINNED, QUESTION)
    assert step.claim == f"request:{PINNED}|{QUESTION.label}"
    assert rig.done == [(Stand.DUE, Refreshed.ASKED)]
    assert await rig.claims.overdue(age=0, limit=10) == [step]


async def test_what_somebody_has_asked_for_is_not_asked_for_again() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    await rig.refresh.once()
    rig.done.clear()
    another = rig.another_refresh()
    await another.once()
    assert len(rig.queue.published) == 1
    assert rig.done == [(Stand.DUE, Refreshed.UNDER_WAY)]


async def test_nothing_is_asked_for_that_is_fresh() -> None:
    rig = CareRig()
    await rig.used_and_judged(1)
    await rig.refresh.once()
    assert rig.asked == []


async def test_it_asks_at_a_pace_and_never_in_a_burst() -> None:
    rig = CareRig(rate=2.0)
    await due(rig, 30)
    rig.clock.advance(60_000)
    await rig.refresh.once()
    times = [step.first_seen for step in rig.queue.published]
    assert len(times) == 30
    assert {later - sooner for sooner, later in itertools.pairwise(times)} == {500}


async def test_an_image_of_several_manifests_costs_as_many_turns() -> None:
    rig = CareRig(rate=1.0, rules=Rules(platforms=("linux/amd64", "linux/arm64")))
    await rig.uses(PINNED)
    await rig.names(A, Manifest(B, "linux", "amd64"), Manifest(C, "linux", "arm64"))
    await rig.judges(B, age=2 * DUE)
    await rig.judges(C, age=2 * DUE)
    await rig.used_and_judged(1, age=DUE)
    await rig.refresh.once()
    first, second = rig.queue.published
    assert first.reference == PINNED
    assert second.first_seen - first.first_seen == 2_000


async def test_a_registry_is_asked_no_more_often_than_it_may_be() -> None:
    rig = CareRig(rate=1_000.0, heads=4.0)
    await due(rig, 12)
    await rig.refresh.once()
    times = [step.first_seen for step in rig.queue.published]
    assert min(later - sooner for sooner, later in itertools.pairwise(times)) == 250


async def test_after_a_minute_it_looks_anew_what_is_left() -> None:
    rig = CareRig(rate=1.0)
    await due(rig, 100)
    await rig.refresh.once()
    assert 59 <= len(rig.asked) <= 62


async def test_what_a_policy_replaced_goes_before_what_goes_stale() -> None:
    rig = CareRig(rate=100.0)
    stale = await due(rig, 3)
    strict = Question(policy="strict")
    replaced = []
    for number, ago in ((10, 20), (11, 5), (12, 10)):
        digest = f"sha256:{number:064x}"
        reference = f"{REPOSITORY}:1@{digest}"
        await rig.judges(digest, question=strict, age=MINUTE)
        await rig.uses(reference, question=strict, ago=ago)
        replaced.append((ago, reference))
    await rig.answers_by("two", question=strict)
    await rig.refresh.once()
    last_used_first = [reference for _, reference in sorted(replaced)]
    assert rig.asked[:3] == last_used_first
    assert sorted(rig.asked[3:]) == sorted(stale)
    assert [stand for stand, _ in rig.done] == [Stand.REPLACED] * 3 + [Stand.DUE] * 3


async def test_whoever_begins_to_lead_goes_on_where_the_other_was() -> None:
    """What is left stands in the records."""
    rig = CareRig(rate=1.0)
    for number in range(100):
        await rig.used_and_judged(number, age=MINUTE, ago=number)
    await rig.answers_by("two")
    await rig.refresh.once()
    done = list(rig.asked)
    for reference in done:
        digest = reference.partition("@")[2]
        repository = reference.partition(":1@")[0]
        await rig.judges(digest, repository=repository, revision="two")
    rig.queue.published.clear()
    await rig.another_refresh().once()
    assert rig.surveys[-1].rounds[QUESTION].left == 100 - len(done)
    assert len(done) + len(rig.asked) == 100
    assert not set(done) & set(rig.asked)


async def test_what_was_asked_for_and_did_not_change_is_not_asked_for_all_the_time() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    for _ in range(5):
        await rig.refresh.once()
        await rig.claims.begin(rig.queue.published[0].claim)  # and nothing comes of it
        rig.clock.advance(30_000)
    assert len(rig.asked) == 1
    rig.clock.advance(round(1000 * ASKED_AGAIN))
    await rig.refresh.once()
    assert len(rig.asked) == 2


async def test_a_change_of_policy_is_worth_asking_again_at_once() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    await rig.refresh.once()
    await rig.claims.begin(rig.queue.published[0].claim)
    await rig.answers_by("two")
    await rig.refresh.once()
    assert len(rig.asked) == 2


# Nothing piles up


@pytest.mark.parametrize("lane", [Lane.ADMISSION, Lane.PREWARM, Lane.CHECK, Lane.CHECK_PREWARM])
async def test_while_a_lane_is_behind_nothing_is_added(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    rig = CareRig()
    await due(rig, 3)
    rig.queue.ready[lane] = BUSY
    for _ in range(3):
        await rig.refresh.once()
    assert rig.asked == []
    assert rig.waits == [Waits.LANE] * 3
    (line,) = caplog.records
    assert line.__dict__["why"] == f"{BUSY} steps wait in the lane {lane}"
    rig.queue.ready[lane] = BUSY - 1
    await rig.refresh.once()
    assert len(rig.asked) == 3


async def test_a_lane_that_falls_behind_meanwhile_ends_it() -> None:
    rig = CareRig(rate=1.0)
    await due(rig, 40)
    rig.queue.full_after = 7
    await rig.refresh.once()
    assert 7 <= len(rig.asked) <= 13  # it looks each five seconds
    assert rig.waits == [Waits.LANE]


@pytest.mark.parametrize(
    "failure",
    [
        TransientFailure("Anchore does not answer"),
        TakenForDown("Anchore is taken for down", retry_after=5.0),
    ],
)
async def test_a_scanner_that_is_away_or_taken_for_down_is_waited_for(
    failure: TransientFailure,
) -> None:
    rig = CareRig()
    await due(rig, 3)
    rig.failure = failure
    await rig.refresh.once()
    assert (rig.asked, rig.waits) == ([], [Waits.SCANNER])
    rig.failure = None
    await rig.refresh.once()
    assert len(rig.asked) == 3


async def test_a_scanner_that_only_refuses_our_probe_answers() -> None:
    rig = CareRig()
    await due(rig, 1)
    rig.failure = PermanentFailure("no right to list policies", kind=ErrorKind.REFUSED)
    await rig.refresh.once()
    assert len(rig.asked) == 1


@pytest.mark.parametrize("failure", [QueueFull("full"), QueueUnavailable("away")])
async def test_a_queue_that_takes_nothing_is_waited_for_and_its_claim_dropped(
    failure: Exception,
) -> None:
    rig = CareRig()
    await due(rig, 3)
    rig.queue.failure = failure
    await rig.refresh.once()
    assert (rig.asked, rig.waits) == ([], [Waits.QUEUE])
    rig.queue.failure = None
    await rig.refresh.once()
    assert len(rig.asked) == 3


async def test_a_step_that_nobody_confirmed_may_have_arrived() -> None:
    rig = CareRig()
    await due(rig, 1)
    rig.queue.failure = QueueUnconfirmed("no confirm in time")
    await rig.refresh.once()
    assert (rig.waits, rig.done) == ([], [(Stand.DUE, Refreshed.ASKED)])


async def test_a_store_that_is_away_is_waited_for_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = CareRig()
    rig.usage.away = True
    for _ in range(3):
        await rig.refresh.once()
    assert rig.waits == [Waits.STORE] * 3
    assert [line.levelno for line in caplog.records] == [logging.WARNING]


async def test_a_policy_that_changes_is_not_waited_for_until_the_next_survey() -> None:
    rig = CareRig()
    task = asyncio.create_task(rig.refresh.run())
    await eventually(lambda: len(rig.surveys) == 1)
    await asyncio.sleep(0.05)
    assert len(rig.surveys) == 1
    rig.refresh.hurry()
    await eventually(lambda: len(rig.surveys) == 2, within=1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
