"""What ends an exception: its time and its revocation, whatever can be asked."""

import asyncio

import pytest

from services.webhook.believed import Source
from shared.domain.errors import StoreUnreachable
from shared.domain.exceptions import ImageException, exempts
from shared.domain.reference import parse_reference
from shared.domain.signed_exceptions import revocation
from tests.fakes.exceptions import HOUR, seal
from tests.unit.webhook.exceptions.rig import SELDOM, Rig
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time


async def test_an_exception_ends_on_time_though_no_store_can_be_asked() -> None:
    rig = Rig()
    one = rig.exception("app")
    await rig.put(one)
    await rig.signed.first()
    rig.store.trouble = StoreUnreachable("no redis")
    reference = parse_reference(one.image)

    def lets_run() -> ImageException | None:
        exceptions = rig.book().exceptions
        return exempts(reference, exceptions, now=rig.clock.now())

    rig.clock.advance(HOUR - 1)
    await rig.signed.read_store()
    assert lets_run() == one
    rig.clock.advance(1)
    assert lets_run() is None  # also before anybody looks
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.signed.numbers() == {Source.STORE: 0, Source.FOLDER: 0}


async def test_while_the_store_is_away_one_is_revoked_through_the_folder() -> None:
    rig = Rig(pace=SELDOM)
    one = rig.exception("a")
    await rig.put(one)
    async with rig.running():
        rig.store.trouble = StoreUnreachable("no redis")
        rig.clock.advance(1_000)
        rig.files.sealed["a.exception"] = seal(revocation(one, now=rig.clock.now()))
        rig.files.changed.set()
        await eventually(lambda: rig.counting == [], within=5)
        rig.store.trouble = None
        rig.gap()
        await eventually(lambda: rig.store.reads >= 3, within=5)
        await asyncio.sleep(0.05)
        assert rig.counting == []


@pytest.mark.parametrize("through", list(Source))
async def test_an_older_one_that_comes_back_undoes_no_revocation(through: Source) -> None:
    rig = Rig()
    one = rig.exception("a")
    old, new = seal(one), seal(revocation(one, now=rig.clock.now()))
    rig.store.thief = {"a": old}
    await rig.signed.first()
    assert rig.counting == ["a"]
    rig.store.thief = {"a": new}
    await rig.signed.first()
    assert rig.counting == []
    rig.store.thief = {}
    if through is Source.STORE:
        rig.store.thief = {"a": old}
    else:
        rig.files.sealed["old.exception"] = old
    await rig.signed.first()
    assert rig.counting == []
    assert not rig.left_out


async def test_nothing_is_revoked_by_deletion() -> None:
    rig = Rig()
    rig.store.thief = {"a": seal(rig.exception("a"))}
    rig.files.sealed["b.exception"] = seal(rig.exception("b"))
    await rig.signed.first()
    rig.store.thief = {}
    rig.files.sealed.clear()
    await rig.signed.first()
    assert rig.counting == ["a", "b"]
