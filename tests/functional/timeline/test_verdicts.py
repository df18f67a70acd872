"""The timeline of verdicts (docs/design/behaviour.md 2): fresh, stale, gone, and the errors beside
them; each for every way to name an image. And which records are no verdict of it at all."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.adapters.signatures import ensure_keys, load_sealer
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.pointer import FRESH_ERROR, MINUTE, SECOND
from shared.domain.signing import Kind, Role
from shared.domain.verdict import (
    FRESH_FAIL,
    FRESH_PASS,
    MAX_AGE,
    Outcome,
    Question,
    Subject,
    Verdict,
    verdict_key,
)
from shared.ports.signing import Sealer
from tests.functional.timeline.columns import (
    EVERY,
    ONE_OF_EACH,
    PINNED_TAG,
    REPOSITORY,
    A,
    B,
    Column,
    columns,
    renewed,
    requested,
)
from tests.functional.timeline.site import JUST_NOW, LAST_MOMENT, QUESTION, Site
from tests.waiting import eventually

FRESH = {Outcome.PASS: FRESH_PASS, Outcome.FAIL: FRESH_FAIL}


# Stale.


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
@columns(EVERY)
async def test_a_fresh_verdict_is_all_that_is_wanted(
    site: Site, column: Column, outcome: Outcome
) -> None:
    webhook = await site.webhook()
    await site.points()
    await site.judges(outcome=outcome, tag=column.tag, age=FRESH[outcome] - 1)
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State(outcome), False)
    assert await site.asked() == []


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
@columns(EVERY)
async def test_a_stale_verdict_is_served_and_renewed_behind_the_answer(
    site: Site, column: Column, outcome: Outcome
) -> None:
    webhook = await site.webhook()
    await site.points()
    await site.judges(outcome=outcome, tag=column.tag, age=FRESH[outcome])
    started = await webhook.start(column)
    assert (started.state, started.waited) == (State(outcome), False)
    assert await site.asked() == [renewed(column.pinned)]


@columns(EVERY)
async def test_a_verdict_of_days_is_served_with_its_age(site: Site, column: Column) -> None:
    webhook = await site.webhook()
    await site.points()
    await site.judges(tag=column.tag, age=MAX_AGE - LAST_MOMENT)
    started = await webhook.start(column)
    assert started.allowed
    assert any("its verdict is 6 days old" in warning for warning in started.warnings)
    age = (MAX_AGE - LAST_MOMENT) // SECOND
    assert started.decision.audit["verdict-age-seconds"] == str(age)


# Gone.


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
@columns(EVERY)
async def test_beyond_max_age_a_verdict_is_served_no_longer_and_is_asked_for_with_haste(
    site: Site, column: Column, outcome: Outcome
) -> None:
    webhook = await site.webhook()
    await site.points()
    await site.judges(outcome=outcome, tag=column.tag, age=MAX_AGE - LAST_MOMENT)
    site.clock.advance(LAST_MOMENT - 1)
    assert (await webhook.start(column)).state is State(outcome)
    assert await site.asked() == [renewed(column.pinned)]
    site.clock.advance(1)
    await site.points(age=JUST_NOW)
    started = await webhook.start(column)
    assert (started.state, started.code) == (State.PENDING, 429)
    assert await site.asked() == [requested(column.pinned)]


@columns(EVERY)
async def test_what_anchore_still_knows_is_answered_in_the_same_review(
    site: Site, column: Column
) -> None:
    webhook = await site.webhook(wait=10.0, pin_wait=10.0)
    await site.points()
    starting = asyncio.create_task(webhook.start(column))
    await eventually(lambda: bool(site.queue.published))
    await site.judges(tag=column.tag)
    started = await starting
    assert (started.state, started.waited) == (State.PASS, True)
    assert await site.asked() == [requested(column.pinned)]
    again = await webhook.start(column)
    assert (again.state, again.waited) == (State.PASS, False)
    assert await site.asked() == []


# Errors.


@pytest.mark.parametrize("kind", list(ErrorKind))
@columns(ONE_OF_EACH)
async def test_an_error_is_the_answer_while_it_is_fresh_and_then_it_is_tried_again(
    site: Site, column: Column, kind: ErrorKind
) -> None:
    webhook = await site.webhook()
    await site.points()
    await site.fails_to_judge(kind=kind, tag=column.tag, age=FRESH_ERROR[kind] - LAST_MOMENT)
    site.clock.advance(LAST_MOMENT - 1)
    started = await webhook.start(column)
    expected = State.PENDING if kind is ErrorKind.TRANSIENT else State.ERROR
    assert started.state is expected
    assert "Anchore says why not" in started.decision.message
    assert await site.asked() == []
    site.clock.advance(1)
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [requested(column.pinned)]


@pytest.mark.parametrize("kind", list(ErrorKind))
@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
async def test_an_error_beside_a_verdict_replaces_nothing_and_rests_while_it_is_fresh(
    site: Site, outcome: Outcome, kind: ErrorKind
) -> None:
    webhook = await site.webhook()
    await site.judges(outcome=outcome, age=FRESH_PASS)
    await site.fails_to_judge(kind=kind, age=FRESH_ERROR[kind] - LAST_MOMENT, beside=True)
    assert (await webhook.start(PINNED_TAG)).state is State(outcome)
    assert await site.asked() == []
    site.clock.advance(LAST_MOMENT)
    assert (await webhook.start(PINNED_TAG)).state is State(outcome)
    assert await site.asked() == [renewed(PINNED_TAG.image)]


# What is no verdict of the image.


OTHERS: dict[str, dict[str, Any]] = {
    "digest": {"digest": B},
    "repository": {"repository": "registry.corp/team/other"},
    "tag": {"tag": "2"},
    "account": {"question": Question(account="other")},
    "policy": {"question": Question(policy="other")},
    "scanner": {"question": Question(scanner="other")},
    "requirement": {"question": Question(requirement="analysis")},
}


@pytest.mark.parametrize("other", OTHERS)
@columns(ONE_OF_EACH)
async def test_a_verdict_of_another_digest_account_scanner_or_requirement_is_never_used(
    site: Site, column: Column, other: str
) -> None:
    webhook = await site.webhook()
    await site.points()
    verdict: dict[str, Any] = {"tag": column.tag, **OTHERS[other]}
    await site.judges(**verdict)
    assert (await webhook.start(column)).state is State.PENDING
    assert await site.asked() == [requested(column.pinned)]


class Forger:
    """Has the rights of whoever stole the store, and real records of it."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.strangers = load_sealer(ensure_keys(folder / "strangers"))
        # An operator's key with which somebody signs what only workers may say.
        (folder / "operators").mkdir()
        shutil.copy(site.keys / f"{Role.OPERATOR}.key", folder / "operators" / "worker.key")
        self.operators = load_sealer(folder / "operators")
        self.key = verdict_key(Subject(REPOSITORY, A, "1"), QUESTION)

    def seal(self, sealer: Sealer, *, key: str = "", kind: Kind = Kind.VERDICT) -> bytes:
        now = self.site.clock.now()
        verdict = Verdict(Subject(REPOSITORY, A, "1"), QUESTION, Outcome.PASS, now)
        return sealer.seal(verdict, kind=kind, key=key or self.key, order=now, ends=now + MINUTE)

    def unsigned(self) -> bytes:
        head, version, key_id, _, body = self.seal(self.site.sealer).split(b" ", 4)
        return b" ".join((head, version, key_id, b"", body))

    def altered(self) -> bytes:
        return self.seal(self.site.sealer).replace(b'"pass"', b'"PASS"')

    def by_strangers(self) -> bytes:
        return self.seal(self.strangers)

    def by_operators(self) -> bytes:
        return self.seal(self.operators)

    def moved(self) -> bytes:
        other = verdict_key(Subject(REPOSITORY, B, "1"), QUESTION)
        return self.seal(self.site.sealer, key=other)

    def of_another_kind(self) -> bytes:
        return self.seal(self.site.sealer, kind=Kind.POINTER)


@pytest.mark.parametrize(
    "forged",
    [
        Forger.unsigned,
        Forger.altered,
        Forger.by_strangers,
        Forger.by_operators,
        Forger.moved,
        Forger.of_another_kind,
    ],
)
async def test_a_record_that_no_worker_signed_for_this_image_is_as_none_and_is_counted(
    site: Site, tmp_path: Path, forged: Callable[[Forger], bytes]
) -> None:
    webhook = await site.webhook()
    forger = Forger(site, tmp_path)
    await site.writes(forger.key, forged(forger))
    assert (await webhook.start(PINNED_TAG)).state is State.PENDING
    assert set(webhook.bad) == {forger.key}
    await site.judges(age=-1)
    assert (await webhook.start(PINNED_TAG)).state is State.PASS


async def test_a_record_that_has_ended_is_none_whoever_puts_it_back(site: Site) -> None:
    webhook = await site.webhook()
    now = site.clock.now()
    verdict = Verdict(Subject(REPOSITORY, A, "1"), QUESTION, Outcome.PASS, now - MAX_AGE)
    key = verdict_key(verdict.subject, QUESTION)
    sealed = site.sealer.seal(verdict, kind=Kind.VERDICT, key=key, order=now - MAX_AGE, ends=now)
    await site.writes(key, sealed)
    assert (await webhook.start(PINNED_TAG)).state is State.PENDING
    good = msgspec.structs.replace(verdict, evaluated_at=now - MAX_AGE + MINUTE)
    sealed = site.sealer.seal(
        good, kind=Kind.VERDICT, key=key, order=good.evaluated_at, ends=good.ends_at
    )
    await site.writes(key, sealed)
    assert (await webhook.start(PINNED_TAG)).state is State.PASS
