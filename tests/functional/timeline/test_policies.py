"""The timeline of policies (docs/design/behaviour.md 2): a new revision, and a fail that replaces a
pass; each for every way to name an image."""

import pytest

from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE
from shared.domain.rules import Rule, Rules
from shared.domain.verdict import Outcome
from tests.functional.timeline.columns import (
    EVERY,
    PINNED_TAG,
    Column,
    columns,
    renewed,
    requested,
)
from tests.functional.timeline.site import JUST_NOW, LAST_MOMENT, Site

HOUR = 60 * MINUTE
DAY_OF_GRACE = Rules(default=Rule(turn_grace=DAY))


async def judged_by_the_old_policy(
    site: Site, column: Column, *, since: int, outcome: Outcome = Outcome.PASS
) -> None:
    """`since`: so long ago the new one was first seen (ms)."""
    await site.points()
    await site.judges(outcome=outcome, tag=column.tag, revision="old", age=since + MINUTE)
    await site.changes_policy("new", age=since)


# A new revision.


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
@columns(EVERY)
async def test_the_old_verdict_is_served_while_it_is_judged_anew(
    site: Site, column: Column, outcome: Outcome
) -> None:
    webhook = await site.webhook()
    await judged_by_the_old_policy(site, column, since=MINUTE, outcome=outcome)
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State(outcome), False)
    assert await site.asked() == [renewed(column.pinned)]
    anew = Outcome.FAIL if outcome is Outcome.PASS else Outcome.PASS
    await site.judges(outcome=anew, tag=column.tag, revision="new")
    assert (await webhook.start(column)).state is State(anew)
    assert await site.asked() == []
    assert webhook.overruns == 0


@columns(EVERY)
async def test_its_grace_ends_after_an_hour_where_judging_it_anew_was_tried(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await judged_by_the_old_policy(site, column, since=HOUR - LAST_MOMENT)
    await site.fails_to_judge(tag=column.tag, age=30 * MINUTE, beside=True)
    site.clock.advance(LAST_MOMENT - 1)
    assert (await webhook.start(column)).allowed
    assert await site.asked() == [renewed(column.pinned)]
    site.clock.advance(1)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.PENDING, 429)
    assert "the policy has changed since it was judged" in started.decision.message
    assert await site.asked() == [requested(column.pinned)]
    assert webhook.overruns == 0


@columns(EVERY)
async def test_why_judging_it_anew_failed_is_what_is_read_while_that_lasts(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await judged_by_the_old_policy(site, column, since=2 * HOUR)
    await site.fails_to_judge(tag=column.tag, age=MINUTE, beside=True)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.ERROR, 403)
    assert "judging it anew failed: Anchore says why not" in started.decision.message
    assert await site.asked() == []
    await site.judges(tag=column.tag, revision="new")
    assert (await webhook.start(column)).allowed


@columns(EVERY)
async def test_an_outage_is_read_as_pending_with_why(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    await judged_by_the_old_policy(site, column, since=2 * HOUR)
    await site.fails_to_judge(kind=ErrorKind.TRANSIENT, tag=column.tag, beside=True)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.PENDING, 429)
    assert "Anchore says why not" in started.decision.message
    assert await site.asked() == []


@columns(EVERY)
async def test_what_nobody_tried_is_served_beyond_its_grace_and_each_time_is_counted(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await judged_by_the_old_policy(site, column, since=6 * DAY)
    for number in (1, 2, 3):
        assert (await webhook.start(column)).allowed
        assert webhook.overruns == number


@columns(EVERY)
async def test_beyond_max_age_no_grace_keeps_it(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    await site.judges(tag=column.tag, revision="old", age=7 * DAY - LAST_MOMENT)
    await site.changes_policy("new", age=MINUTE)
    await site.points()
    assert (await webhook.start(column)).allowed
    await site.asked()
    site.clock.advance(LAST_MOMENT)
    await site.points(age=JUST_NOW)
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [requested(column.pinned)]


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
@columns(EVERY)
async def test_without_grace_the_new_policy_counts_from_the_moment_that_it_is_known(
    site: Site, column: Column, outcome: Outcome
) -> None:
    webhook = await site.webhook(policy_grace=0)
    await site.points()
    await site.judges(outcome=outcome, tag=column.tag, revision="old", age=MINUTE)
    assert (await webhook.start(column)).state is State(outcome)
    await site.changes_policy("new")
    started = await webhook.start(column)
    assert started.state is State.PENDING
    assert "the policy has changed since it was judged" in started.decision.message
    assert await site.asked() == [requested(column.pinned)]
    await site.judges(outcome=outcome, tag=column.tag, revision="new")
    assert (await webhook.start(column)).state is State(outcome)


@columns(EVERY)
async def test_the_grace_is_as_long_as_it_is_set(site: Site, column: Column) -> None:
    short, long = await site.webhook(policy_grace=MINUTE), await site.webhook(policy_grace=7 * DAY)
    await judged_by_the_old_policy(site, column, since=3 * HOUR)
    await site.fails_to_judge(tag=column.tag, age=2 * HOUR, beside=True)
    assert (await short.start(column)).state is State.PENDING
    assert (await long.start(column)).allowed


async def test_a_policy_of_another_question_outdates_nothing(site: Site) -> None:
    webhook = await site.webhook(policy_grace=0)
    await site.judges(revision="old", age=MINUTE)
    await site.changes_policy("new", policy="another")
    assert (await webhook.start(PINNED_TAG)).allowed
    assert await site.asked() == []


# A fail that replaces a pass.


@columns(EVERY)
async def test_by_default_a_fail_that_replaces_a_pass_is_denied_at_once(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await site.points()
    await site.judges(outcome=Outcome.FAIL, tag=column.tag, turned=0)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.FAIL, 403)


@columns(EVERY)
async def test_with_a_turn_grace_it_runs_until_that_is_over_with_a_warning(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(rules=DAY_OF_GRACE)
    await site.points()
    await site.judges(outcome=Outcome.FAIL, tag=column.tag, turned=DAY - LAST_MOMENT)
    site.clock.advance(LAST_MOMENT - 1)
    started = await webhook.start(column)
    assert (started.state, started.allowed) == (State.TURNED, True)
    assert any("only, then refused by policy baseline" in each for each in started.warnings)
    assert started.decision.audit["decision"] == "turned"
    assert (await webhook.start(column)).state is State.TURNED
    site.clock.advance(1)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.FAIL, 403)


@columns(EVERY)
async def test_a_fail_that_replaced_nothing_has_no_turn_grace(site: Site, column: Column) -> None:
    webhook = await site.webhook(rules=DAY_OF_GRACE)
    await site.points()
    await site.judges(outcome=Outcome.FAIL, tag=column.tag)
    assert (await webhook.start(column)).state is State.FAIL


@columns(EVERY)
async def test_a_fail_by_a_new_policy_has_both_graces_one_after_the_other(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(rules=DAY_OF_GRACE)
    await judged_by_the_old_policy(site, column, since=MINUTE)
    assert (await webhook.start(column)).state is State.PASS
    await site.judges(outcome=Outcome.FAIL, tag=column.tag, revision="new", turned=0)
    assert (await webhook.start(column)).state is State.TURNED
