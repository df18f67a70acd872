"""What the scanner does by itself: an end is told, people come first."""

import asyncio
import logging

import pytest

from services.scanner.background import going_on
from services.scanner.precedence import Precedence
from tests.waiting import eventually


async def test_what_ends_by_itself_is_told_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = 0

    async def broken() -> None:
        raise LookupError("why")

    async def busy() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR):
        async with going_on({"forget": broken(), "measure": busy()}):
            await eventually(lambda: bool(caplog.records))
            before = turns
            await eventually(lambda: turns > before)
    assert "forget" in caplog.records[0].message
    assert len(caplog.records) == 1


async def test_what_is_done_by_itself_waits_while_somebody_asks() -> None:
    precedence = Precedence(patience=60.0)
    with precedence.asked(), precedence.asked():
        waiting = asyncio.ensure_future(precedence.gap())
        await asyncio.sleep(0.01)
        assert not waiting.done()
    await waiting


async def test_it_has_a_turn_though_somebody_always_asks() -> None:
    precedence = Precedence(patience=0.01)
    with precedence.asked():
        await precedence.gap()
