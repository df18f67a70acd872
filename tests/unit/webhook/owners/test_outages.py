"""What nudges fail by: it is said once, left alone for a while, and keeps nobody else waiting."""

import itertools
import logging

import msgspec
import pytest

from services.webhook.nudges import AT_ONCE, Outcome
from services.webhook.outage import REST, Outage
from services.webhook.paces import EVERY, LONGEST_OF_THE_FAILED
from shared.domain.errors import (
    ClusterMisconfigured,
    ClusterRefused,
    ClusterUnreachable,
    StoreUnreachable,
)
from shared.domain.owner import Owner
from tests.unit.webhook.owners.rig import IMAGE, RS, Rig

TAGGED = "registry.test/team/app:1"


class DeadClaims:
    """`NudgeClaims` of a Redis that is away."""

    async def claim(self, uid: str, *, life: int) -> int | None:
        raise StoreUnreachable("Redis does not answer")

    async def drop(self, uid: str) -> None:
        raise StoreUnreachable("Redis does not answer")


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_an_api_server_that_is_away_is_asked_again_and_said_once(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.cluster.failure = ClusterUnreachable("it does not answer")
    await rig.judge()
    rig.denied()
    for _ in range(60):
        await rig.look(after=1)
    assert len(rig.cluster.nudges) == rig.outcomes[Outcome.FAILED] == 4
    rig.cluster.failure = None
    await rig.look(after=LONGEST_OF_THE_FAILED)
    assert rig.outcomes[Outcome.DONE] == 1
    said = [(line.levelno, line.message) for line in caplog.records if "not nudged" in line.message]
    assert said == [
        (logging.WARNING, "owners of blocked pods are not nudged"),
        (logging.INFO, "no longer so: owners of blocked pods are not nudged"),
    ]


async def test_a_right_that_is_missing_is_an_error_said_once_with_what_to_do(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.cluster.failure = ClusterMisconfigured("403: bind the ClusterRole imagegate-nudge")
    await rig.judge()
    rig.denied()
    for _ in range(600):
        await rig.look(after=1)
    assert len(rig.cluster.nudges) == 10
    (said,) = [line for line in caplog.records if "not nudged" in line.message]
    assert (said.levelno, said.__dict__["why"]) == (
        logging.ERROR,
        "403: bind the ClusterRole imagegate-nudge",
    )


async def test_a_nudge_that_failed_here_may_be_done_by_another_webhook(rig: Rig) -> None:
    other = Rig(beside=rig)
    await rig.judge()
    for each in (rig, other):
        each.denied()
    rig.cluster.failure = ClusterUnreachable("it does not answer us")
    await rig.look()
    rig.cluster.failure = None
    await other.look()
    assert other.outcomes == {Outcome.DONE: 1}


async def test_without_the_store_each_webhook_nudges(rig: Rig) -> None:
    await rig.judge()
    away = Rig(beside=rig, claims=DeadClaims())
    away.denied()
    away.cluster.failure = ClusterUnreachable("it does not answer")
    await away.look()
    away.cluster.failure = None
    await away.look(after=6)
    assert away.outcomes == {Outcome.FAILED: 1, Outcome.DONE: 1}


async def test_what_one_namespace_refuses_keeps_nobody_elsewhere_waiting(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """A policy of its own, say."""
    caplog.set_level(logging.INFO)
    rig.cluster.failures["theirs"] = ClusterRefused("422: no-touch denied request")
    await rig.judge()
    theirs = msgspec.structs.replace(RS, namespace="theirs", uid="theirs")
    rig.denied(owner=theirs)
    await rig.look()
    for _ in range(30):
        await rig.look(after=1)
    assert rig.cluster.nudges == [theirs], "it is left alone for a minute"
    rig.denied()
    await rig.look()
    assert rig.cluster.nudges == [theirs, RS]
    await rig.look(after=31)
    rig.cluster.failures.clear()
    await rig.look(after=61)
    assert rig.cluster.nudges == [theirs, RS, theirs, theirs]
    said = [line for line in caplog.records if "not nudged" in line.message]
    assert [(line.levelno, line.__dict__["namespace"]) for line in said] == [
        (logging.ERROR, "theirs"),
        (logging.INFO, "theirs"),
    ]


async def test_a_nudge_that_fails_is_not_taken_for_done_by_another_entry_of_its_owner(
    rig: Rig,
) -> None:
    """The pod as it was before it was pinned, and afterwards: both are looked at side by side."""
    await rig.judge(TAGGED)
    rig.denied(TAGGED)
    rig.denied(IMAGE)
    rig.cluster.failure = ClusterUnreachable("it does not answer")
    await rig.look()
    assert rig.outcomes == {Outcome.FAILED: 1}
    rig.cluster.failure = None
    for _ in range(30):
        await rig.look(after=1)
    assert rig.outcomes == {Outcome.FAILED: 1, Outcome.DONE: 1}


def another(number: int, namespace: str) -> Owner:
    return Owner("apps/v1", "StatefulSet", namespace, f"db-{number}", f"{namespace}-{number}")


async def test_however_many_always_fail_everybody_else_is_nudged_after_one_pause(rig: Rig) -> None:
    """The webhook of somebody else that is asked about them does not answer, say."""
    broken = [another(number, "broken") for number in range(10 * AT_ONCE)]
    rig.cluster.failures["broken"] = ClusterUnreachable("500: failed calling webhook")
    await rig.judge()
    for owner in broken:
        rig.denied(owner=owner)
    rig.denied()
    await rig.look()
    assert RS not in rig.cluster.nudges
    await rig.look(after=REST)
    assert rig.cluster.nudges.count(RS) == 1


async def test_of_one_namespace_those_that_always_fail_keep_nobody_waiting_for_ever(
    rig: Rig,
) -> None:
    broken = [another(number, "team") for number in range(2 * AT_ONCE)]
    rig.cluster.broken.update(broken)
    await rig.judge()
    for owner in broken:
        rig.denied(owner=owner)
    rig.denied()
    for _ in range(3):
        await rig.look(after=REST)
    assert rig.cluster.nudges.count(RS) == 1


async def test_where_it_fails_each_time_nobody_elsewhere_waits_for_that_again(rig: Rig) -> None:
    broken = [another(number, "broken") for number in range(2 * AT_ONCE)]
    rig.cluster.failures["broken"] = ClusterUnreachable("500: failed calling webhook")
    await rig.judge()
    for owner in broken:
        rig.denied(owner=owner)
    await rig.look()
    rig.clock.advance(round(REST * 1_000))
    for number in range(100):
        good = another(number, "good")
        rig.denied(owner=good)
        await rig.look(after=1)
        assert good in rig.cluster.nudges
    assert len(rig.cluster.nudges) > 100 + 2 * len(broken), "they are tried all the same"


async def test_one_that_fails_again_and_again_is_tried_ever_more_seldom_but_each_minute(
    rig: Rig,
) -> None:
    rig.cluster.broken.add(RS)
    await rig.judge()
    rig.denied()
    tried = []
    for second in range(600):
        before = len(rig.cluster.nudges)
        await rig.look(after=1)
        tried += [second] * (len(rig.cluster.nudges) - before)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert gaps[:5] == [5, 10, 20, 40, 60]
    assert set(gaps[4:]) == {LONGEST_OF_THE_FAILED}


async def test_one_that_failed_and_was_nudged_then_has_failed_no_more(rig: Rig) -> None:
    """What it is blocked for anew is tried as soon as if nothing had been."""
    rig.cluster.broken.add(RS)
    await rig.judge()
    rig.denied()
    for _ in range(40):
        await rig.look(after=1)
    rig.cluster.broken.clear()
    await rig.look(after=60)
    assert rig.outcomes[Outcome.DONE] == 1
    rig.denied()
    await rig.look(after=EVERY)
    assert rig.outcomes[Outcome.DONE] == 2


def test_where_it_was_refused_is_remembered_of_a_thousand_namespaces(rig: Rig) -> None:
    outage = Outage(clock=rig.clock, what="it is not done")
    for number in range(1_000):
        outage.failed(f"team-{number}", ClusterRefused("no"))
    for namespace in ("team-0", "one-more"):
        outage.failed(namespace, ClusterRefused("no"))
    asked = [name for name in ("team-0", "team-1", "team-2", "one-more") if not outage.until(name)]
    assert asked == ["team-1"]


def test_whatever_is_wrong_rests_everybody_until_anything_is_done(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outage, now = Outage(clock=rig.clock, what="it is not done"), rig.clock.monotonic()
    for error, rest in (
        (ClusterUnreachable("500"), 5.0),
        (ClusterMisconfigured("401"), 60.0),
        (ClusterUnreachable("500"), 5.0),
    ):
        outage.failed("a", error)
        assert outage.until("b") == now + rest
    outage.over("b")
    assert outage.until("a") is None
    assert [(line.levelno, line.message) for line in caplog.records] == [
        (logging.WARNING, "it is not done"),
        (logging.ERROR, "it is not done"),
        (logging.WARNING, "it is not done"),
        (logging.INFO, "no longer so: it is not done"),
    ]


def test_a_refusal_ends_where_it_is_done_and_only_there(rig: Rig) -> None:
    outage = Outage(clock=rig.clock, what="it is not done")
    for namespace in ("a", "b"):
        outage.failed(namespace, ClusterRefused("no"))
    assert outage.until("c") is None
    outage.over("a")
    assert outage.until("a") is None
    assert outage.until("b") == rig.clock.monotonic() + 60
    assert (outage.fails_in("a"), outage.fails_in("b")) == (False, True)


def test_where_it_fails_while_it_is_done_elsewhere_it_rests_there_alone_and_that_is_said(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outage, now = Outage(clock=rig.clock, what="it is not done"), rig.clock.monotonic()
    outage.failed("a", ClusterUnreachable("500"))
    outage.over("b")
    for _ in range(2):
        outage.failed("a", ClusterUnreachable("500"))
        assert (outage.until("a"), outage.until("b")) == (now + 5, None)
    outage.over("a")
    outage.failed("a", ClusterUnreachable("500"))
    assert (outage.until("a"), outage.until("b")) == (now + 5, now + 5)
    assert [(line.levelno, line.__dict__.get("namespace")) for line in caplog.records] == [
        (logging.WARNING, None),
        (logging.INFO, None),
        (logging.WARNING, "a"),
        (logging.INFO, "a"),
        (logging.WARNING, None),
    ]


def test_a_token_that_is_refused_is_nowhere_taken(rig: Rig) -> None:
    outage, now = Outage(clock=rig.clock, what="it is not done"), rig.clock.monotonic()
    outage.failed("a", ClusterUnreachable("500"))
    outage.over("b")
    outage.failed("a", ClusterMisconfigured("401"))
    assert outage.until("b") == now + 60
