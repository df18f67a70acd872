"""`imagegate queue --watch`: it goes on through trouble, and ends with Ctrl-C."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.domain.step import Lane
from shared.ports.presence import Beat
from tests.functional.cli.beside import Beside, beside
from tests.functional.cli.commands import started


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Beside]:
    async with beside(tmp_path) as served:
        yield served


async def test_one_json_document_a_line_also_in_trouble(served: Beside, tmp_path: Path) -> None:
    async with started("queue", "--watch", "-o", "json", state=tmp_path) as running:
        await running.printed("\n", times=2)
        served.queue.away = "no\nrabbit"
        await running.printed('{"error":"no\\nrabbit"}\n')
        served.queue.away = ""
        running.forget()
        await running.printed("\n", times=2)
        lines = running.out.splitlines()
        running.interrupt()
        assert await running.ended() == 0
    assert json.loads(lines[-1])["lanes"][0]["lane"] == "resolve"


async def test_it_shows_what_workers_take_a_second(served: Beside, tmp_path: Path) -> None:
    async def work() -> None:
        for count in range(1_000):
            counts = {Lane.CHECK: 7 * count}
            await served.presence.beat(Beat("w", "worker", "1", 1, delivered=counts))
            await asyncio.sleep(0.5)

    working = asyncio.create_task(work())
    async with started("queue", "--watch", state=tmp_path) as running:
        await running.printed("per second")
        await running.printed("Queue", times=4)
        rows = [line.split("│") for line in running.out.splitlines() if "│ check " in line]
        running.interrupt()
        assert await running.ended() == 0
    working.cancel()
    rates = [row[4].strip() for row in rows]
    assert rates[0] == "?"
    assert float(rates[-1]) > 0


async def test_a_moment_of_trouble_is_shown_beside_the_last_numbers(
    served: Beside, tmp_path: Path
) -> None:
    served.died("a.example/b:1")
    async with started("queue", "--watch", state=tmp_path) as running:
        await running.printed("dead letters: 1")
        served.queue.away = "no rabbit"
        await running.printed("no answer: no rabbit")
        running.forget()
        await running.printed("dead letters: 1")
        served.queue.away = ""
        await running.printed("dead letters: 1", times=2)
        running.forget()
        await running.printed("dead letters: 1", times=2)
        assert "no answer" not in running.out


async def test_on_a_terminal_it_draws_over_the_picture_before(
    served: Beside, tmp_path: Path
) -> None:
    up = "\x1b[1A"
    async with started("queue", "--watch", state=tmp_path, terminal=True) as running:
        await running.printed("dead letters", times=2)
        assert up in running.out
        running.type(b"\x03")
        running.interrupt()
        assert await running.ended() == 0
        assert "Traceback" not in running.out
