"""When exceptions are read, and how often."""

import asyncio
import logging

import pytest

from services.webhook.believed import Source
from services.webhook.exceptions import Pace, Uncounted
from shared.domain.errors import StoreMisconfigured, StoreUnreachable
from shared.domain.exceptions import exception_key
from shared.domain.signed_exceptions import revocation
from shared.ports.exceptions import MAX_EXCEPTIONS
from tests.fakes.exceptions import HOUR, seal
from tests.unit.webhook.exceptions.rig import SELDOM, Rig
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time


async def test_what_stands_in_store_and_folder_counts_from_the_start() -> None:
    rig = Rig()
    await rig.put(rig.exception("stored"))
    rig.files.sealed["x.exception"] = seal(rig.exception("mounted"))
    await rig.signed.first()
    assert rig.counting == ["mounted", "stored"]
    assert rig.signed.numbers() == {Source.STORE: 1, Source.FOLDER: 1}


async def test_what_is_put_counts_once_it_is_announced() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        one = rig.exception("a")
        await rig.put(one)
        await eventually(lambda: rig.counting == ["a"], within=5)
        await rig.put(revocation(one, now=rig.clock.now()))
        await eventually(lambda: rig.counting == [], within=5)


async def test_a_lost_announcement_is_made_up_for_by_the_next_look() -> None:
    rig = Rig()
    async with rig.running():
        rig.store.thief = {"a": seal(rig.exception("a"))}
        await eventually(lambda: rig.counting == ["a"], within=5)


async def test_a_gap_has_everything_read_again() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        await eventually(lambda: rig.store.reads == 2, within=5)  # the listener's own first gap
        rig.store.thief = {"a": seal(rig.exception("a"))}
        rig.gap()
        await eventually(lambda: rig.counting == ["a"], within=5)


async def test_words_about_images_have_nothing_read() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        await eventually(lambda: rig.store.reads == 2, within=5)
        for number in range(100):
            rig.verdicts.announce(f"verdict:{number}")
        await asyncio.sleep(0.1)
        assert rig.store.reads == 2


async def test_a_storm_of_announcements_costs_a_few_reads() -> None:
    rig = Rig(pace=Pace(least=0.1, usual=60.0))
    async with rig.running():
        for _ in range(20):
            for number in range(500):
                rig.verdicts.announce(exception_key(str(number)))
            await asyncio.sleep(0.01)
        await rig.put(rig.exception("last"))
        await eventually(lambda: rig.counting == ["last"], within=5)
        assert rig.store.reads < 20


async def test_what_is_announced_while_it_is_being_read_is_read_again() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        await eventually(lambda: rig.store.reads == 2, within=5)
        rig.store.asked.clear()
        rig.store.answers.clear()
        rig.signed.heard(None)
        await rig.store.asked.wait()
        await rig.put(rig.exception("a"))  # the read under way does not have it
        rig.store.answers.set()
        await eventually(lambda: rig.counting == ["a"], within=5)


async def test_the_same_bytes_are_verified_once() -> None:
    rig = Rig()
    for number in range(20):
        await rig.put(rig.exception(str(number)))
    rig.files.sealed["a.exception"] = b"no sealed record"
    rig.files.sealed["b.exception"] = seal(rig.exception("b"))
    for _ in range(5):
        await rig.signed.first()
    assert rig.ring.verified == 21
    assert rig.left_out == {(Source.FOLDER, Uncounted.SIGNATURE): 5}


async def test_two_thousand_are_verified_without_keeping_reviews_from_their_turn() -> None:
    rig = Rig()
    for number in range(MAX_EXCEPTIONS):
        await rig.put(rig.exception(f"e{number}"))
    turns = 0

    async def reviews() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(reviews())
    await rig.signed.first()
    task.cancel()
    assert len(rig.counting) == MAX_EXCEPTIONS
    assert turns >= MAX_EXCEPTIONS / 10
    rig.clock.advance(HOUR)
    await rig.signed.read_store()
    assert rig.counting == []


async def test_a_store_that_is_away_takes_nothing_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    await rig.put(rig.exception("a"))
    await rig.signed.first()
    caplog.clear()
    rig.store.trouble = StoreUnreachable("no redis")
    for _ in range(5):
        await rig.signed.first()
    assert rig.counting == ["a"]
    assert rig.left_out == {(Source.STORE, Uncounted.UNREAD): 5}
    assert [record.getMessage() for record in caplog.records] == [
        "signed exceptions cannot be read"
    ]
    rig.store.trouble = None
    await rig.signed.first()
    assert caplog.records[-1].getMessage() == "signed exceptions are read from the store again"


async def test_a_right_that_is_missing_is_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.store.trouble = StoreMisconfigured("check the user, password and ACL of REDIS_URL")
    await rig.signed.first()
    (record,) = caplog.records
    assert (record.levelname, vars(record)["why"]) == ("ERROR", str(rig.store.trouble))


async def test_while_it_is_away_it_is_asked_each_moment_and_not_only_now_and_then() -> None:
    rig = Rig(pace=Pace(least=0.01, retry=0.02, usual=60.0))
    rig.store.trouble = StoreUnreachable("no redis")
    async with rig.running():
        await eventually(lambda: rig.store.reads > 5, within=5)
        await rig.put(rig.exception("a"))
        rig.store.trouble = None
        await eventually(lambda: rig.counting == ["a"], within=5)
