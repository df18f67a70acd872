"""What a webhook believes of an emergency, and for how long."""

import logging
from collections.abc import Callable

import pytest

from services.webhook.believed import Source
from services.webhook.exceptions import Uncounted
from shared.adapters.signatures import key_id_of
from shared.domain.emergency import LONGEST, Emergency, emergency_id, ending
from shared.domain.errors import StoreUnreachable
from shared.domain.signing import Kind
from shared.ports.verdicts import MAX_AHEAD, Put
from tests.fakes.exceptions import (
    HOUR,
    OPERATOR,
    WORKER,
    emergency,
    exception,
    forge,
    forge_emergency,
    seal_emergency,
)
from tests.unit.webhook.exceptions.rig import SELDOM, Rig
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

Sealed = Callable[[int], bytes]

OURS = emergency_id("prod")


def over(one: Emergency, *, now: int) -> Emergency:
    return ending(one, now=now, reason="mended", owner="bo", cluster=one.cluster)


async def put(rig: Rig, one: Emergency) -> None:
    written = await rig.store.put(
        seal_emergency(one), exception_id=emergency_id(one.cluster), ends=one.made_at + LONGEST
    )
    assert written is Put.WRITTEN


@pytest.mark.parametrize("source", list(Source))
async def test_one_counts_from_the_store_and_from_the_folder(source: Source) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now(), namespaces=("team-*",))
    if source is Source.STORE:
        await put(rig, one)
    else:
        rig.files.sealed["now.exception"] = seal_emergency(one)
    await rig.signed.first()
    assert rig.book().emergency_in("team-a") == one
    assert rig.book().emergency_in("other") is None
    assert (rig.switch.until, rig.switch.seconds) == (one.until, 3_600.0)
    assert not rig.left_out


async def test_one_that_is_announced_counts_at_once_and_so_does_its_end() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        one = emergency(now=rig.clock.now())
        await put(rig, one)
        await eventually(lambda: rig.book().emergency == one)
        rig.clock.advance(1)
        await put(rig, over(one, now=rig.clock.now()))
        await eventually(lambda: rig.book().emergency is None)
    assert rig.switch.until == 0


NEAR_MISSES: dict[str, tuple[Uncounted, Sealed]] = {
    "a worker's key": (
        Uncounted.SIGNATURE,
        lambda now: forge_emergency(emergency(now=now), WORKER),
    ),
    "an exception under its name": (
        Uncounted.SIGNATURE,
        lambda now: forge(exception(OURS, now=now), OPERATOR),
    ),
    "one of another kind": (
        Uncounted.SIGNATURE,
        lambda now: forge_emergency(emergency(now=now), kind=Kind.EXCEPTION),
    ),
    "one for another key": (
        Uncounted.SIGNATURE,
        lambda now: forge_emergency(emergency(now=now), key="exception:another"),
    ),
    "a later end, altered": (
        Uncounted.SIGNATURE,
        lambda now: seal_emergency(emergency(now=now)).replace(
            str(now + HOUR).encode(), str(now + 2 * HOUR).encode()
        ),
    ),
    "a newer order in front": (
        Uncounted.SIGNATURE,
        lambda now: f"{now + 1:016d}".encode() + seal_emergency(emergency(now=now))[16:],
    ),
    "another cluster's under our key": (
        Uncounted.INVALID,
        lambda now: forge_emergency(emergency(now=now, cluster="test"), key=f"exception:{OURS}"),
    ),
    "no cluster's under our key": (
        Uncounted.INVALID,
        lambda now: forge_emergency(emergency(now=now, cluster=""), key=f"exception:{OURS}"),
    ),
    "more than a day": (
        Uncounted.INVALID,
        lambda now: seal_emergency(emergency(now=now, until=now + LONGEST + 1)),
    ),
    "kept for longer than a day": (
        Uncounted.INVALID,
        lambda now: forge_emergency(emergency(now=now), ends=now + 2 * LONGEST),
    ),
    "made later than now": (
        Uncounted.AHEAD,
        lambda now: seal_emergency(emergency(now=now + MAX_AHEAD + 1)),
    ),
    "without a reason": (
        Uncounted.INVALID,
        lambda now: seal_emergency(emergency(now=now, reason="")),
    ),
}


@pytest.mark.parametrize("miss", NEAR_MISSES)
@pytest.mark.parametrize("source", list(Source))
async def test_what_only_looks_like_one_is_ignored_counted_and_said(
    miss: str, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    why, sealed = NEAR_MISSES[miss]
    rig = Rig()
    record = sealed(rig.clock.now())
    if source is Source.STORE:
        rig.store.thief = {OURS: record}
    else:
        rig.files.sealed["x.exception"] = record
    with caplog.at_level(logging.WARNING):
        await rig.signed.first()
    assert rig.book().emergency is None
    assert rig.left_out == {(source, why): 1}
    assert caplog.messages == ["exception does not count"]


@pytest.mark.parametrize("theirs", ["", "test"])
async def test_one_of_another_cluster_is_not_ours_to_read(
    theirs: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig()
    await put(rig, emergency(now=rig.clock.now(), cluster=theirs))
    with caplog.at_level(logging.INFO):
        await rig.signed.first()
    assert rig.book().emergency is None
    assert (rig.ring.verified, rig.left_out, caplog.messages) == (0, {}, [])


@pytest.mark.parametrize("theirs", ["", "test"])
async def test_one_of_another_cluster_counts_under_no_id_and_in_no_file(theirs: str) -> None:
    rig = Rig()
    sealed = seal_emergency(emergency(now=rig.clock.now(), cluster=theirs))
    ours = forge_emergency(emergency(now=rig.clock.now()), key=f"exception:{emergency_id(theirs)}")
    rig.store.thief = {OURS: sealed, emergency_id(theirs): ours, "emergency@x y": sealed}
    rig.files.sealed["wrong-folder.exception"] = sealed
    rig.files.sealed["ours-under-their-key.exception"] = ours
    await rig.signed.first()
    assert rig.book().emergency is None
    assert rig.left_out == {
        (Source.STORE, Uncounted.SIGNATURE): 2,
        (Source.FOLDER, Uncounted.INVALID): 2,
    }


async def test_one_that_was_away_hears_of_its_end_though_another_cluster_declared() -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now(), until=rig.clock.now() + LONGEST)
    await put(rig, one)
    await rig.signed.first()
    assert rig.switch.until == one.until
    rig.store.trouble = StoreUnreachable("no redis")
    rig.clock.advance(1_000)
    await put(rig, over(one, now=rig.clock.now()))
    rig.clock.advance(1_000)
    await put(rig, emergency(now=rig.clock.now(), cluster="test"))
    await rig.signed.read_store()
    assert rig.switch.until == one.until
    rig.store.trouble = None
    await rig.signed.read_store()
    assert rig.switch.until == 0
    assert rig.book().emergency is None


async def test_each_cluster_hears_of_its_own_while_both_have_one() -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    await put(rig, one)
    rig.clock.advance(1_000)
    theirs = emergency(now=rig.clock.now(), cluster="test", until=rig.clock.now() + LONGEST)
    await put(rig, theirs)
    await rig.signed.first()
    assert rig.book().emergency == one
    rig.clock.advance(1_000)
    await put(rig, over(theirs, now=rig.clock.now()))
    await rig.signed.read_store()
    assert rig.book().emergency == one


async def test_one_under_an_exceptions_id_is_ignored_and_counted() -> None:
    rig = Rig()
    rig.store.thief = {"a1b2c3": seal_emergency(emergency(now=rig.clock.now()))}
    await rig.signed.first()
    assert rig.book().emergency is None
    assert rig.left_out == {(Source.STORE, Uncounted.SIGNATURE): 1}


async def test_one_ends_at_its_time_though_nobody_looks_and_its_end_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    await put(rig, one)
    with caplog.at_level(logging.WARNING):
        await rig.signed.first()
        rig.store.trouble = StoreUnreachable("no redis")
        rig.clock.advance(HOUR - 1)
        assert rig.switch.until == one.until
        rig.clock.advance(1)
        assert (rig.switch.until, rig.switch.seconds) == (0, 0.0)
        held = rig.book().emergency
        assert held is not None
        assert not held.counts(rig.clock.now())
        await rig.signed.read_store()
        await rig.signed.read_store()
    assert rig.book().emergency is None
    said = [record for record in caplog.records if record.message.startswith("emergency")]
    assert [record.message for record in said] == [
        "emergency: nothing is refused",
        "emergency has ended",
    ]
    told = vars(said[0])
    assert (told["owner"], told["reason"]) == ("ada", "Redis is broken")


@pytest.mark.parametrize("source", list(Source))
async def test_an_older_one_that_comes_back_undoes_no_end(source: Source) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now(), until=rig.clock.now() + LONGEST)
    rig.store.thief = {OURS: seal_emergency(one)}
    await rig.signed.first()
    assert rig.switch.until
    rig.clock.advance(1_000)
    rig.store.thief = {OURS: seal_emergency(over(one, now=rig.clock.now()))}
    await rig.signed.first()
    assert not rig.switch.until
    # Who steals Redis has the older record still, and removes what ended it.
    rig.store.thief = {}
    if source is Source.STORE:
        rig.store.thief = {OURS: seal_emergency(one)}
    else:
        rig.files.sealed["old.exception"] = seal_emergency(one)
    for _ in range(3):
        rig.clock.advance(HOUR)
        await rig.signed.first()
        assert rig.book().emergency is None


async def test_an_older_longer_one_does_not_come_back_when_the_newer_has_ended() -> None:
    rig = Rig()
    longest = emergency(now=rig.clock.now(), until=rig.clock.now() + LONGEST)
    await put(rig, longest)
    rig.clock.advance(1)
    short = emergency(now=rig.clock.now())
    await put(rig, short)
    await rig.signed.first()
    assert rig.switch.until == short.until
    rig.clock.advance(HOUR)
    assert await rig.store.put(seal_emergency(longest), exception_id=OURS, ends=longest.until) is (
        Put.OLDER
    ), "the store forgets the newer one no sooner than the older one has ended"
    await rig.signed.first()
    assert rig.switch.until == 0
    # Also not for a webhook that starts only now.
    started = Rig()
    started.clock.advance(rig.clock.now() - started.clock.now())
    started.store.thief = await rig.store.all()
    await started.signed.first()
    assert started.switch.until == 0


async def test_nothing_is_ended_by_deletion() -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    rig.store.thief = {OURS: seal_emergency(one)}
    await rig.signed.first()
    rig.store.thief = {}
    await rig.signed.first()
    assert rig.book().emergency == one


async def test_a_new_one_replaces_that_of_before_with_its_namespaces() -> None:
    rig = Rig()
    await put(rig, emergency(now=rig.clock.now(), namespaces=("a",)))
    await rig.signed.first()
    rig.clock.advance(1)
    await put(rig, emergency(now=rig.clock.now(), namespaces=("b",)))
    await rig.signed.first()
    assert rig.book().emergency_in("a") is None
    assert rig.book().emergency_in("b") is not None


async def test_which_it_heard_of_last_is_known_by_when_that_was_signed() -> None:
    rig = Rig()
    assert rig.switch.signed == 0
    one = emergency(now=rig.clock.now())
    await put(rig, one)
    await rig.signed.first()
    assert rig.switch.signed == one.made_at
    rig.clock.advance(1)
    narrower = emergency(now=rig.clock.now(), until=one.until, namespaces=("b",))
    await put(rig, narrower)
    await rig.signed.first()
    assert (rig.switch.until, rig.switch.signed) == (one.until, narrower.made_at)
    rig.clock.advance(1)
    end = over(narrower, now=rig.clock.now())
    await put(rig, end)
    await rig.signed.first()
    assert (rig.switch.until, rig.switch.signed) == (0, end.made_at)
    rig.files.sealed["old.exception"] = seal_emergency(one)
    await rig.signed.first()
    assert rig.switch.signed == end.made_at, "an older one is no news"


async def test_an_end_by_a_clock_that_is_ahead_holds_all_the_same() -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    rig.store.thief = {OURS: seal_emergency(one)}
    await rig.signed.first()
    rig.files.sealed["end.exception"] = seal_emergency(over(one, now=rig.clock.now() + HOUR))
    await rig.signed.first()
    assert rig.book().emergency is None
    assert not rig.left_out


async def test_one_stays_when_rules_and_exceptions_change() -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    await put(rig, one)
    await rig.signed.first()
    await rig.put(rig.exception("a"))
    await rig.signed.read_store()
    rig.book.rules_changed(rig.book.rules)
    assert (rig.book().emergency, rig.counting) == (one, ["a"])


async def test_a_clock_that_is_put_back_makes_none_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    await put(rig, one)
    await rig.signed.first()
    rig.clock.advance(1_000)
    rig.clock.put(-24 * HOUR)
    assert rig.switch.seconds == 3_599.0
    rig.clock.advance(HOUR - 1_000)
    assert (rig.switch.until, rig.switch.seconds) == (0, 0.0)
    with caplog.at_level(logging.WARNING):
        await rig.signed.read_store()
        assert rig.book().emergency is None
        await rig.signed.read_store()
    assert "emergency has ended" in caplog.messages
    assert rig.book().emergency is None, "what has ended does not come back"


async def test_a_clock_that_was_put_forward_ends_one_for_good() -> None:
    rig = Rig()
    await put(rig, emergency(now=rig.clock.now()))
    await rig.signed.first()
    rig.clock.put(2 * HOUR)
    await rig.signed.read_store()
    assert rig.book().emergency is None
    rig.clock.put(-2 * HOUR)
    await rig.signed.read_store()
    assert (rig.book().emergency, rig.switch.until) == (None, 0)


async def test_its_end_is_told_at_its_moment_though_no_word_comes() -> None:
    rig = Rig(pace=SELDOM)
    one = emergency(now=rig.clock.now(), until=rig.clock.now() + 50)
    await put(rig, one)
    async with rig.running():
        await eventually(lambda: rig.book().emergency == one)
        rig.clock.advance(50)
        # Less than the minute of that pace.
        await eventually(lambda: rig.book().emergency is None)


@pytest.mark.parametrize(("ends", "said"), [(False, "nothing is refused"), (True, "was ended")])
async def test_who_switched_what_with_which_key_and_why_stays_in_the_log(
    ends: bool, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now(), namespaces=("a", "b-*"))
    rig.store.thief = {OURS: seal_emergency(one)}
    with caplog.at_level(logging.WARNING):
        await rig.signed.first()
        if ends:
            rig.clock.advance(1)
            one = over(one, now=rig.clock.now())
            rig.files.sealed["over.exception"] = seal_emergency(one)
            await rig.signed.first()
    (record,) = [each for each in caplog.records if each.message.endswith(said)]
    told = {name: vars(record)[name] for name in ("namespaces", "owner", "made_at", "until")}
    assert told == {
        "namespaces": "*" if ends else "a,b-*",
        "owner": one.owner,
        "made_at": one.made_at,
        "until": one.until,
    }
    assert (record.levelname, vars(record)["reason"]) == ("WARNING", one.reason)
    assert vars(record)["key"] == key_id_of(OPERATOR.public_key())
    assert vars(record)["source"] == (Source.FOLDER if ends else Source.STORE)


async def test_an_end_after_the_last_moment_is_no_news_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    await put(rig, one)
    await rig.signed.first()
    rig.clock.advance(HOUR)
    await put(rig, over(one, now=rig.clock.now()))
    with caplog.at_level(logging.WARNING):
        await rig.signed.first()
    assert "emergency was ended" not in caplog.messages


async def test_an_end_where_there_was_none_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    one = emergency(now=rig.clock.now())
    await put(rig, over(one, now=rig.clock.now()))
    with caplog.at_level(logging.WARNING):
        await rig.signed.first()
    assert caplog.messages == []
