import asyncio
import logging

import pytest

from services.console.door import MAX_SLOWED, Door, TooManyTries
from services.console.session import Sessions
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.virtual_time

TOKEN = "correct-horse-battery-staple"
HERE, THERE = "192.0.2.1", "192.0.2.2"


class Counted:
    """A door, and how many it refused."""

    def __init__(self, *, slowed: float = 0.05) -> None:
        self.refused = 0
        self.clock = FakeClock()
        self.door = Door(
            sessions=Sessions(TOKEN), clock=self.clock, on_refused=self._count, slowed=slowed
        )

    def _count(self) -> None:
        self.refused += 1

    async def knock(self, token: str, *, caller: str = HERE) -> bool:
        return await self.door.opens(token, caller=caller)


async def test_the_token_opens_at_once() -> None:
    counted = Counted(slowed=3600)
    async with asyncio.timeout(1):
        assert await counted.knock(TOKEN)
    assert counted.refused == 0


async def test_a_wrong_token_is_answered_late_and_counted() -> None:
    counted = Counted()
    knocking = asyncio.create_task(counted.knock("wrong"))
    await asyncio.sleep(0)
    assert counted.refused == 1
    await asyncio.sleep(0.04)
    assert not knocking.done()
    assert not await knocking


async def test_who_sends_many_wrong_tokens_is_not_listened_to_while_others_are() -> None:
    counted = Counted()
    wrong = [asyncio.create_task(counted.knock(f"wrong {n}")) for n in range(MAX_SLOWED)]
    await asyncio.sleep(0)
    # The token itself is not looked at either: else the ninth guess would cost nothing.
    with pytest.raises(TooManyTries, match="in a second"):
        await counted.knock(TOKEN)
    assert await counted.knock(TOKEN, caller=THERE)
    assert counted.refused == MAX_SLOWED + 1
    assert await asyncio.gather(*wrong) == [False] * MAX_SLOWED
    assert await counted.knock(TOKEN)


async def test_a_caller_who_hangs_up_is_no_longer_counted_as_slowed() -> None:
    counted = Counted(slowed=3600)
    wrong = [asyncio.create_task(counted.knock("wrong")) for _ in range(MAX_SLOWED)]
    await asyncio.sleep(0)
    for task in wrong:
        task.cancel()
    await asyncio.gather(*wrong, return_exceptions=True)
    assert await counted.knock(TOKEN)


async def test_wrong_tokens_are_said_once_a_minute_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = Counted(slowed=0)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await counted.knock("wrong")
        counted.clock.advance(61_000)
        await counted.knock("wrong", caller=THERE)
    said = [(vars(record)["from"], vars(record)["times"]) for record in caplog.records]
    assert said == [(HERE, 1), (THERE, 5)]
    assert "wrong token" in caplog.text
