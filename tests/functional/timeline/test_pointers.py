"""The timeline of what tags name (docs/design/behaviour.md 2): its rows from "first ever" to
"registry cannot be asked", and a tag that moved; each for every way to name an image."""

import asyncio
import itertools

import pytest

from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE, POINTER_MAX_AGE, SECOND, YOUNG, YOUNG_ALWAYS
from shared.domain.rules import PinWhat
from shared.domain.verdict import Outcome
from tests.functional.timeline.columns import (
    ALWAYS,
    EVERY,
    NOT_ALWAYS,
    PINNED,
    PINNED_TAG,
    RESOLVED,
    TAG,
    TAGS,
    A,
    B,
    Column,
    columns,
    immutable,
    renewed,
    requested,
    with_and_without_pinning,
)
from tests.functional.timeline.site import LAST_MOMENT, Site
from tests.waiting import eventually


def young(column: Column) -> int:
    """For how long a pointer is young for it (ms)."""
    return YOUNG_ALWAYS if column in ALWAYS else YOUNG


# First ever.


@columns(EVERY)
async def test_what_nobody_knows_is_pending_and_is_asked_for(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.PENDING, 429)
    assert started.image == column.image
    resolves = [RESOLVED] if column in TAGS else []
    assert await site.asked() == [*resolves, requested(column.image)]


@columns(TAGS)
async def test_where_nothing_is_pinned_no_registry_is_asked_for_itself(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(pin=PinWhat.NONE)
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [requested(TAG)]


@columns(EVERY)
async def test_once_it_is_judged_it_runs_at_once(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    await webhook.start(column)
    await site.asked()
    await site.points()
    await site.judges(tag=column.tag)
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State.PASS, False)
    assert started.image == (column.pinned)
    assert await site.asked() == []


@columns(TAGS)
async def test_a_tag_that_its_registry_names_in_time_is_pinned_and_its_digest_asked_for(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(wait=10.0, pin_wait=10.0)
    starting = asyncio.create_task(webhook.start(column))
    await eventually(lambda: bool(site.queue.published))
    await site.points()
    await eventually(lambda: len(site.queue.published) > 1)
    await site.judges()
    started = await starting
    assert (started.state, started.image) == (State.PASS, f"{TAG}@{A}")
    assert await site.asked() == [RESOLVED, requested(f"{TAG}@{A}")]


@columns(EVERY)
async def test_who_waits_gets_the_verdict_in_the_first_answer(site: Site, column: Column) -> None:
    webhook = await site.webhook(pin=PinWhat.NONE, wait=10.0)
    starting = asyncio.create_task(webhook.start(column))
    await eventually(lambda: bool(site.queue.published))
    await site.points()
    await site.judges(tag=column.tag)
    assert (await starting).state is State.PASS


@columns(TAGS)
@pytest.mark.parametrize("kind", [ErrorKind.NOT_FOUND, ErrorKind.UNAUTHORISED])
async def test_a_tag_that_cannot_be_had_is_an_error_for_a_minute_and_then_unknown(
    site: Site, column: Column, kind: ErrorKind
) -> None:
    webhook = await site.webhook()
    await site.points(None, error=kind, age=MINUTE - LAST_MOMENT)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.ERROR, 403)
    assert "the registry has no such image" in started.decision.message
    assert await site.asked() == []
    site.clock.advance(LAST_MOMENT)
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [RESOLVED, requested(TAG)]


# Pointer young.


@with_and_without_pinning
@columns(TAGS)
async def test_a_young_pointer_is_the_registrys_word(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await site.points(age=young(column) - 1)
    await site.judges()
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State.PASS, False)
    assert await site.asked() == []


@with_and_without_pinning
@columns(TAGS)
async def test_a_tag_that_never_moves_has_a_young_pointer_to_its_end(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin, rules=immutable("1*"))
    await site.points(age=POINTER_MAX_AGE - LAST_MOMENT)
    await site.judges()
    site.clock.advance(LAST_MOMENT - 1)
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State.PASS, False)
    assert await site.asked() == []
    site.clock.advance(1)
    assert (await webhook.start(column)).state is State.PENDING


@columns(TAGS)
async def test_a_tag_that_the_pattern_does_not_fit_moves_as_any(site: Site, column: Column) -> None:
    webhook = await site.webhook(pin=PinWhat.NONE, rules=immutable("v*"))
    await site.points(age=young(column))
    await site.judges()
    await webhook.start(column)
    assert await site.asked() == [RESOLVED]


# Pointer older.


@with_and_without_pinning
@pytest.mark.parametrize("age", [YOUNG_ALWAYS, YOUNG, POINTER_MAX_AGE - LAST_MOMENT])
@columns(ALWAYS)
async def test_with_always_an_older_pointer_waits_for_the_registrys_word(
    site: Site, column: Column, age: int, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin, wait=10.0, pin_wait=10.0)
    await site.points(age=age)
    await site.judges()
    starting = asyncio.create_task(webhook.start(column))
    await eventually(lambda: bool(site.queue.published))
    assert not starting.done()
    await site.points()
    started = await starting
    assert (started.state, started.waited) == (State.PASS, True)
    assert not [warning for warning in started.warnings if "ago" in warning]
    assert await site.asked() == [RESOLVED]


@with_and_without_pinning
async def test_all_who_wait_for_a_registry_share_one_question(site: Site, pin: PinWhat) -> None:
    webhooks = [await site.webhook(pin=pin, wait=10.0, pin_wait=10.0) for _ in range(2)]
    await site.points(age=MINUTE)
    await site.judges()
    pods = [
        asyncio.create_task(webhook.start(column))
        for webhook, column, _ in itertools.product(webhooks, ALWAYS, range(5))
    ]
    await eventually(lambda: bool(site.queue.published))
    await asyncio.sleep(0.1)
    await site.points()
    assert {each.state for each in await asyncio.gather(*pods)} == {State.PASS}
    assert await site.asked() == [RESOLVED]


async def test_however_many_pods_of_an_unknown_image_come_to_several_webhooks_it_is_asked_for_once(
    site: Site,
) -> None:
    webhooks = [await site.webhook() for _ in range(4)]
    for _ in range(10):
        starting = [webhook.start(PINNED_TAG) for webhook in webhooks for _ in range(50)]
        assert not any(each.allowed for each in await asyncio.gather(*starting))
    assert await site.asked() == [requested(PINNED_TAG.image)]


@with_and_without_pinning
@pytest.mark.parametrize("age", [YOUNG, DAY, POINTER_MAX_AGE - LAST_MOMENT])
@columns(NOT_ALWAYS)
async def test_another_policy_uses_an_older_pointer_at_once_and_has_it_renewed_behind(
    site: Site, column: Column, age: int, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await site.points(age=age)
    await site.judges()
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State.PASS, False)
    assert await site.asked() == [RESOLVED]


@columns(NOT_ALWAYS)
async def test_a_pointer_serves_to_its_end_and_not_a_millisecond_longer(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(pin=PinWhat.NONE)
    await site.points(age=POINTER_MAX_AGE - LAST_MOMENT)
    await site.judges()
    site.clock.advance(LAST_MOMENT - 1)
    assert (await webhook.start(column)).state is State.PASS
    site.clock.advance(1)
    assert (await webhook.start(column)).state is State.PENDING


@with_and_without_pinning
@columns(PINNED)
async def test_a_digest_needs_no_pointer_however_old_one_is(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await site.points(age=DAY)
    await site.judges(tag=column.tag)
    started = await webhook.start(column)
    assert (started.state, started.waited, started.image) == (State.PASS, False, column.image)
    assert await site.asked() == []


# Registry cannot be asked: nobody answers the question.


@pytest.mark.parametrize("age", [YOUNG_ALWAYS, DAY, POINTER_MAX_AGE - LAST_MOMENT])
@columns(ALWAYS)
async def test_while_a_registry_is_away_a_tag_is_pinned_to_its_old_pointer_with_a_warning(
    site: Site, column: Column, age: int
) -> None:
    webhook = await site.webhook(wait=10.0)
    await site.points(age=age)
    await site.judges()
    began = asyncio.get_running_loop().time()
    started = await webhook.start(column)
    assert 0.4 < asyncio.get_running_loop().time() - began < 4.0
    assert (started.state, started.image) == (State.PASS, f"{TAG}@{A}")
    (warning,) = started.warnings
    assert f"pinned to what it named {age // SECOND} s ago" in warning
    assert await site.asked() == [RESOLVED]


@columns(ALWAYS)
async def test_without_pinning_a_registry_that_is_away_is_a_503(site: Site, column: Column) -> None:
    webhook = await site.webhook(pin=PinWhat.NONE, wait=10.0)
    await site.points(age=YOUNG_ALWAYS)
    await site.judges()
    began = asyncio.get_running_loop().time()
    started = await webhook.start(column)
    assert 0.4 < asyncio.get_running_loop().time() - began < 4.0
    assert (started.state, started.code) == (State.REGISTRY_AWAY, 503)
    assert await site.asked() == [RESOLVED]


@columns(NOT_ALWAYS)
async def test_who_need_not_ask_is_warned_once_the_registry_was_asked_behind_in_vain(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await site.points(age=DAY)
    await site.judges()
    first = await webhook.start(column)
    assert (first.state, first.waited, first.warnings) == (State.PASS, False, ())
    assert await site.asked() == [RESOLVED]
    site.clock.advance(2 * SECOND)
    second = await webhook.start(column)
    assert (second.state, second.waited, second.image) == (State.PASS, False, column.pinned)
    (warning,) = second.warnings
    assert f"pinned to what it named {DAY // SECOND + 2} s ago" in warning


@with_and_without_pinning
@columns([*NOT_ALWAYS, *PINNED])
async def test_who_need_not_ask_a_registry_does_not_notice_that_it_is_away(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await site.points(age=DAY)
    await site.judges(tag=column.tag)
    for _ in range(3):
        started = await webhook.start(column)
        assert (started.state, started.waited) == (State.PASS, False)
        site.clock.advance(SECOND)


# Tag moved: it names B now, of which there is no verdict; A was judged good.


async def moved(site: Site, *, previous: str | None = A) -> None:
    await site.judges(age=30 * MINUTE)
    await site.judges(age=30 * MINUTE, tag=None)
    await site.points(B, previous=previous)


@with_and_without_pinning
@columns(ALWAYS)
async def test_with_always_a_tag_that_moved_waits_for_the_verdict_of_what_it_names_now(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await moved(site)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.PENDING, 429)
    image = TAG if pin is PinWhat.NONE else f"{TAG}@{B}"
    assert started.image == image
    assert await site.asked() == [requested(image)]


@columns(NOT_ALWAYS)
async def test_another_policy_is_pinned_to_the_digest_before_until_the_new_one_is_judged(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await moved(site)
    started = await webhook.start(column)
    assert (started.state, started.image) == (State.PASS, f"{TAG}@{A}")
    assert await site.asked() == [renewed(TAG)]
    await site.judges(B, Outcome.FAIL)
    started = await webhook.start(column)
    assert (started.state, started.image) == (State.FAIL, f"{TAG}@{B}")


@columns(NOT_ALWAYS)
async def test_a_digest_that_the_registry_dropped_is_never_pinned(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook()
    await moved(site, previous=None)
    started = await webhook.start(column)
    assert (started.state, started.image) == (State.PENDING, f"{TAG}@{B}")
    assert await site.asked() == [requested(f"{TAG}@{B}")]


@columns(NOT_ALWAYS)
async def test_without_pinning_the_old_verdict_is_never_the_new_digests(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(pin=PinWhat.NONE)
    await moved(site)
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [requested(TAG)]


@with_and_without_pinning
@columns(PINNED)
async def test_what_is_pinned_keeps_its_verdict_wherever_its_tag_moved(
    site: Site, column: Column, pin: PinWhat
) -> None:
    webhook = await site.webhook(pin=pin)
    await moved(site)
    started = await webhook.start(column)
    assert (started.state, started.waited, started.image) == (State.PASS, False, column.image)
