"""How what is in use stands, read from the store's own records."""

import pytest

from services.worker.in_use import MAX_LEFT, Stand, Surveyed
from services.worker.new_platforms import NewPlatforms
from services.worker.survey import MAX_QUESTIONS
from shared.domain.errors import ErrorKind
from shared.domain.platforms import NEW_FOR, assumed
from shared.domain.pointer import DAY, MINUTE, SECOND, Manifest
from shared.domain.rules import Rules
from shared.domain.verdict import MAX_AGE, Outcome, Question, Subject, Turn
from tests.fakes.sealing import PlainSealer
from tests.unit.worker.care_rig import DUE, QUESTION, REPOSITORY, A, B, C, CareRig, D

PINNED = f"{REPOSITORY}:1@{A}"
AMD, ARM = Manifest(B, "linux", "amd64"), Manifest(C, "linux", "arm64")


async def stands(rig: CareRig) -> dict[Stand, int]:
    found = await rig.surveyor.look()
    return {stand: count for stand, count in found.stands.items() if count}


@pytest.mark.parametrize(
    ("age", "stand"),
    [
        (0, Stand.FRESH),
        (35 * MINUTE, Stand.FRESH),
        (DUE, Stand.DUE),
        (59 * MINUTE, Stand.DUE),
        (60 * MINUTE, Stand.STALE),
        (6 * DAY, Stand.STALE),
    ],
)
async def test_an_image_stands_as_its_verdict_does(age: int, stand: Stand) -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=age)
    assert await stands(rig) == {stand: 1}


async def test_what_is_fresh_for_longer_is_due_later() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE, stretched=DAY)
    assert await stands(rig) == {Stand.FRESH: 1}


async def test_what_is_due_is_told_with_what_it_is_about_and_what_is_fresh_is_not() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    verdict = await rig.judges(age=DUE)
    (left,) = (await rig.surveyor.look()).due
    assert (left.use.reference, left.host, left.stand) == (PINNED, "registry.corp", Stand.DUE)
    assert left.subjects == (verdict.subject,)
    assert left.since == verdict.renew_at
    await rig.judges()
    assert (await rig.surveyor.look()).due == []


async def test_what_is_used_and_was_never_judged_is_nobodys_business() -> None:
    """Who may record uses may name images without end."""
    rig = CareRig()
    for number in range(50):
        await rig.uses(f"evil.example/{number}:1")
    found = await rig.surveyor.look()
    assert (found.in_use, found.stands[Stand.UNKNOWN]) == (0, 50)
    assert found.due == found.first == []


async def test_a_verdict_that_nobody_we_trust_signed_is_none() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE, pen=rig.pen(PlainSealer(b"somebody else's")))
    assert await stands(rig) == {Stand.UNKNOWN: 1}


async def test_what_is_judged_and_not_used_is_left_alone() -> None:
    rig = CareRig()
    await rig.judges(age=DUE)
    found = await rig.surveyor.look()
    assert (found.in_use, found.due) == (0, [])


@pytest.mark.parametrize("reference", ["", "no reference", "x@sha256:1", "é:1", "a" * 3_000])
async def test_what_is_no_reference_is_passed_over(reference: str) -> None:
    rig = CareRig()
    await rig.uses(reference)
    await rig.uses(PINNED)
    await rig.judges()
    assert await stands(rig) == {Stand.FRESH: 1}


async def test_a_registry_that_the_rules_do_not_allow_any_more_is_left_alone() -> None:
    rig = CareRig(rules=Rules(allow_registries=("another.corp",)))
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    assert await stands(rig) == {}


async def test_a_tag_stands_for_what_it_names_now() -> None:
    rig = CareRig()
    await rig.uses(f"{REPOSITORY}:1")
    await rig.judges(A)
    await rig.judges(B, age=DUE)
    await rig.points(B)
    assert await stands(rig) == {Stand.DUE: 1}


async def test_a_digest_whose_tag_has_moved_on_stands_by_its_verdict_without_the_tag() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    await rig.judges(tag=None, age=MINUTE)
    assert await stands(rig) == {Stand.FRESH: 1}


async def test_an_index_stands_by_the_worst_of_its_manifests_that_count() -> None:
    rig = CareRig(rules=Rules(platforms=("linux/amd64", "linux/arm64")))
    await rig.uses(PINNED)
    await rig.names(A, AMD, ARM, Manifest(D, "windows", "amd64"))
    await rig.judges(B)
    await rig.judges(C, age=DUE)
    await rig.judges(D, age=2 * DAY)
    found = await rig.surveyor.look()
    assert found.stands == {Stand.DUE: 1}
    assert [left.subjects for left in found.due] == [(Subject(REPOSITORY, C, "1"),)]


async def test_one_verdict_is_asked_for_once_however_many_name_it() -> None:
    rig = CareRig()
    await rig.points(A)
    for reference in (PINNED, f"{REPOSITORY}:1", PINNED):
        await rig.uses(reference)
    await rig.judges(age=DUE)
    found = await rig.surveyor.look()
    assert found.stands == {Stand.DUE: 2}
    assert len(found.due) == 1


async def test_another_question_is_another_verdict() -> None:
    rig = CareRig()
    strict = Question(policy="strict")
    for question in (QUESTION, strict):
        await rig.uses(PINNED, question=question)
    await rig.judges()
    await rig.judges(question=strict, age=DUE)
    found = await rig.surveyor.look()
    assert found.stands == {Stand.FRESH: 1, Stand.DUE: 1}
    assert [left.use.question for left in found.due] == [strict]
    assert set(found.questions) == {QUESTION, strict}


async def test_what_was_due_first_comes_first() -> None:
    rig = CareRig()
    ages = {2: 55 * MINUTE, 1: 59 * MINUTE, 3: 51 * MINUTE, 0: 3 * DAY}
    for number, age in ages.items():
        await rig.used_and_judged(number, age=age)
    since = [left.since for left in (await rig.surveyor.look()).due]
    assert len(since) == 4
    assert since == sorted(since)


async def test_what_a_policy_replaced_is_told_apart_the_most_recently_used_first() -> None:
    rig = CareRig()
    names = [await rig.used_and_judged(number, age=MINUTE, ago=number) for number in range(3)]
    await rig.answers_by("two")
    found = await rig.surveyor.look()
    assert [left.use.reference for left in found.first] == names
    assert found.stands == {Stand.REPLACED: 3}
    assert found.due == []


async def test_a_verdict_that_was_made_after_the_policy_was_seen_is_not_replaced() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.answers_by("two", since=MINUTE)
    await rig.judges(revision="two")
    assert await stands(rig) == {Stand.FRESH: 1}


async def test_what_failed_a_moment_ago_rests_and_is_told_again_afterwards() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges(age=DUE)
    await rig.fails_to_judge()
    found = await rig.surveyor.look()
    assert (found.due, found.resting) == ([], 1)
    rig.clock.advance(15 * SECOND)
    found = await rig.surveyor.look()
    assert (len(found.due), found.resting) == (1, 0)


async def test_of_very_much_that_is_due_the_first_are_told() -> None:
    rig = CareRig()
    for number in range(2 * MAX_LEFT + 50):
        await rig.used_and_judged(number, age=DUE + number)
    found = await rig.surveyor.look()
    assert len(found.due) == MAX_LEFT
    told = max(left.since for left in found.due)
    assert found.stands[Stand.DUE] == 2 * MAX_LEFT + 50
    assert told < rig.clock.now()


async def test_made_up_questions_do_not_grow_without_end() -> None:
    rig = CareRig()
    for number in range(MAX_QUESTIONS + 50):
        await rig.uses(PINNED, question=Question(account=f"account-{number}"))
    assert len((await rig.surveyor.look()).questions) == MAX_QUESTIONS


async def test_a_round_of_a_policy_is_counted_verdict_by_verdict() -> None:
    rig = CareRig()
    for number in range(10):
        await rig.used_and_judged(number, age=10 * MINUTE)
    await rig.answers_by("two", since=5 * MINUTE)
    for number, outcome in ((0, Outcome.PASS), (1, Outcome.PASS), (2, Outcome.FAIL)):
        await rig.judges(
            f"sha256:{number:064x}",
            outcome,
            repository=f"registry.corp/team/app{number:04}",
            revision="two",
            turned=Turn.POLICY if outcome is Outcome.FAIL else None,
        )
    kept = (await rig.surveyor.look()).rounds[QUESTION]
    assert (kept.left, kept.kept, kept.turned) == (7, 2, 1)


async def test_what_a_feed_turned_within_the_hour_is_counted_apart() -> None:
    rig = CareRig()
    await rig.answers_by("one", since=DAY)
    for number, digest in enumerate((A, B, C)):
        await rig.uses(f"{REPOSITORY}:1@{digest}")
        await rig.judges(digest, age=number * MINUTE)
    await rig.uses(f"{REPOSITORY}:1@{D}")
    await rig.judges(D, Outcome.FAIL, turned=Turn.FEED, age=5 * MINUTE)
    found = await rig.surveyor.look()
    assert (found.feed_kept, found.feed_turned) == (3, 1)
    assert found.rounds[QUESTION].turned == 0
    rig.clock.advance(2 * 60 * MINUTE)
    found = await rig.surveyor.look()
    assert (found.feed_kept, found.feed_turned) == (0, 0)


async def test_a_verdict_at_its_end_is_unknown() -> None:
    rig = CareRig()
    await rig.uses(PINNED)
    await rig.judges()
    rig.clock.advance(MAX_AGE)
    await rig.uses(PINNED)
    assert await stands(rig) == {Stand.UNKNOWN: 1}


# A platform that is new in the cluster.


class Growing(CareRig):
    """A cluster of linux/amd64 in which nodes of linux/arm64 have come."""

    def __init__(self) -> None:
        super().__init__()
        self.new = NewPlatforms(ledger=self.ledger, clock=self.clock)

    async def grows(self) -> None:
        record = assumed("", self.clock.now()).seeing(
            ["linux/amd64", "linux/arm64"], self.clock.now()
        )
        await self.ledger.write_platforms(record)

    async def looks(self, *, later: int = 15 * SECOND) -> Surveyed:
        """Once, and what follows from it."""
        self.clock.advance(later)
        found = await self.surveyor.look()
        self.new.surveyed(found)
        await self.new.once()
        return found

    async def counted(self) -> tuple[str, ...] | None:
        record = await self.ledger.platforms("")
        assert record is not None
        return record.counted(self.clock.now(), 60 * MINUTE)


async def test_what_is_in_use_is_judged_for_a_new_platform_before_all_that_is_due() -> None:
    rig = Growing()
    await rig.used_and_judged(1, age=DUE, ago=1)
    await rig.names(A, AMD, ARM)
    await rig.uses(PINNED, ago=5)
    await rig.judges(B)
    await rig.grows()
    found = await rig.looks()
    (left,) = found.first
    assert (left.use.reference, left.stand) == (PINNED, Stand.NEW)
    assert left.subjects == (Subject(REPOSITORY, C, "1"),)
    assert found.new == {"linux/arm64": 1}
    await rig.refresh.once()
    assert rig.asked[0] == PINNED


async def test_a_new_platform_counts_once_all_that_is_in_use_has_been_judged_for_it() -> None:
    rig = Growing()
    await rig.names(A, AMD, ARM)
    await rig.uses(PINNED)
    await rig.judges(B)
    await rig.grows()
    await rig.looks()
    assert await rig.counted() == ("linux/amd64",)
    await rig.judges(C, Outcome.FAIL)
    await rig.looks()
    assert await rig.counted() == ("linux/amd64", "linux/arm64")
    assert (await rig.looks()).new == {}


async def test_a_new_platform_counts_at_once_where_nothing_in_use_has_anything_for_it() -> None:
    rig = Growing()
    await rig.used_and_judged(1)
    await rig.uses("registry.corp/never/judged:1")
    await rig.grows()
    await rig.looks()
    assert await rig.counted() == ("linux/amd64", "linux/arm64")


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        (ErrorKind.NOT_FOUND, True),
        (ErrorKind.ANALYSIS_FAILED, True),
        (ErrorKind.TRANSIENT, False),
    ],
)
async def test_what_cannot_be_judged_was_tried_and_what_only_waits_was_not(
    kind: ErrorKind, counts: bool
) -> None:
    rig = Growing()
    await rig.names(A, AMD, ARM)
    await rig.uses(PINNED)
    await rig.judges(B)
    await rig.grows()
    rig.clock.advance(10 * SECOND)
    await rig.fails_to_judge(C, kind=kind)
    found = await rig.looks(later=5 * SECOND)
    assert (found.resting, found.first) == (1, [])
    assert (await rig.counted() == ("linux/amd64", "linux/arm64")) is counts


async def test_after_a_day_a_platform_is_no_longer_new_whatever_could_not_be_judged() -> None:
    rig = Growing()
    await rig.names(A, AMD, ARM)
    await rig.uses(PINNED)
    await rig.grows()
    rig.clock.advance(NEW_FOR)
    await rig.judges(B)
    await rig.uses(PINNED)
    found = await rig.looks()
    assert (found.first, found.new) == ([], {})
    record = await rig.ledger.platforms("")
    assert record is not None
    assert record.new == ()


async def test_where_the_rules_name_platforms_those_of_nodes_are_nothing_new() -> None:
    rig = Growing()
    rig.rules = Rules(platforms=("linux/amd64",))
    await rig.names(A, AMD, ARM)
    await rig.uses(PINNED)
    await rig.judges(B)
    await rig.grows()
    found = await rig.looks()
    assert (found.first, found.new) == ([], {})
