"""Records that are not believed are said now and then, and each is counted once a day: a survey
finds all of them again every few seconds, for as long as they are in use."""

import logging

import pytest

from services.worker.unbelieved import COUNTED_AGAIN, MOST, SAID_AGAIN, Unbelieved
from shared.domain.errors import InvalidSignature
from shared.domain.pointer import SECOND
from shared.domain.signing import Kind
from tests.fakes.clock import FakeClock
from tests.unit.worker.care_rig import DUE, CareRig

USES = 100


class Believing(CareRig):
    """A worker in whose ring is the key that signed what is in use, until it is taken out."""

    def takes_the_key_out(self) -> None:
        self.sealer.exchange(b"another")

    async def in_use(self) -> None:
        for number in range(USES):
            await self.used_and_judged(number, age=DUE)


@pytest.fixture
def rig() -> Believing:
    return Believing()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if "not believed" in line.getMessage()]


def after(seconds: float, clock: FakeClock) -> None:
    clock.advance(round(seconds * SECOND))


async def test_surveys_of_what_is_not_believed_say_one_and_later_how_many_others_there_were(
    rig: Believing, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.in_use()
    rig.takes_the_key_out()
    await rig.surveyor.look()
    await rig.surveyor.look()
    (line,) = said(caplog)
    assert "verdict:" in line
    assert "not signed by us" in line
    after(SAID_AGAIN, rig.clock)
    await rig.surveyor.look()
    assert len(said(caplog)) == 2
    assert f"(and {2 * USES - 1} more since the last such line)" in said(caplog)[1]


async def test_what_is_not_believed_is_counted_once_however_often_it_is_read(
    rig: Believing,
) -> None:
    await rig.in_use()
    await rig.surveyor.look()
    assert rig.unbelieved == 0
    rig.takes_the_key_out()
    for _ in range(3):
        await rig.surveyor.look()
    assert rig.unbelieved == USES


class Unbelieving:
    """What a worker does with records that it does not believe, and how many it counted."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.counted = 0
        self.unbelieved = Unbelieved(clock=self.clock, on_found=self._count)

    def finds(self, key: str = "verdict:app", sealed: bytes = b"forged") -> None:
        self.unbelieved.found(Kind.VERDICT, key, sealed, InvalidSignature(f"{key}: not ours"))

    def _count(self) -> None:
        self.counted += 1


def test_another_record_in_the_place_of_one_that_was_counted_counts_too() -> None:
    """Else whoever writes into the store would be seen once, and then never again."""
    rig = Unbelieving()
    for sealed in (b"one", b"two", b"two"):
        rig.finds(sealed=sealed)
    rig.finds("verdict:another", b"two")
    assert rig.counted == 3


def test_what_is_still_there_a_day_later_counts_again() -> None:
    rig = Unbelieving()
    rig.finds()
    after(COUNTED_AGAIN - 1, rig.clock)
    rig.finds()
    assert rig.counted == 1
    after(1, rig.clock)
    rig.finds()
    assert rig.counted == 2


def test_of_more_than_can_be_remembered_some_count_again() -> None:
    rig = Unbelieving()
    for number in range(MOST + 1):
        rig.finds(f"verdict:{number}")
    rig.finds(f"verdict:{MOST}")
    assert rig.counted == MOST + 1
    rig.finds("verdict:0")
    assert rig.counted == MOST + 2


def test_a_burst_of_one_kind_does_not_hide_another_kind(caplog: pytest.LogCaptureFixture) -> None:
    rig = Unbelieving()
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            rig.finds(f"verdict:{number}")
        error = InvalidSignature("revision:default: not ours")
        rig.unbelieved.found(Kind.REVISION, "revision:default", b"forged", error)
    assert [line.split(": ")[1] for line in said(caplog)] == ["verdict:0", "revision:default"]
