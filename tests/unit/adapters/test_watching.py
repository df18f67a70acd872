"""Whether something changed in a folder is told at once, and seen in any case."""

import asyncio
import logging
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest

from shared.adapters.watching import changes_in

NEVER = 3_600.0
PATIENCE = 30.0


async def test_one_looks_soon_after_the_start_since_nobody_tells_of_what_was_before(
    tmp_path: Path,
) -> None:
    async with aclosing(changes_in(tmp_path, every=NEVER)) as changes, asyncio.timeout(PATIENCE):
        await anext(changes)


async def test_a_change_is_told(tmp_path: Path) -> None:
    async with aclosing(changes_in(tmp_path, every=NEVER)) as changes, asyncio.timeout(PATIENCE):
        await anext(changes)
        (tmp_path / "a").touch()
        await anext(changes)


async def test_one_looks_again_where_nothing_is_told(tmp_path: Path) -> None:
    async with aclosing(changes_in(tmp_path, every=0.05)) as changes, asyncio.timeout(PATIENCE):
        for _ in range(3):
            await anext(changes)


async def test_a_folder_that_took_the_place_of_another_is_watched(tmp_path: Path) -> None:
    folder, new = tmp_path / "folder", tmp_path / "new"
    folder.mkdir()
    new.mkdir()
    async with aclosing(changes_in(folder, every=NEVER)) as changes, asyncio.timeout(PATIENCE):
        await anext(changes)
        folder.rename(tmp_path / "old")
        new.rename(folder)
        await anext(changes)
        (folder / "a").touch()
        await anext(changes)


async def test_a_folder_that_is_not_there_is_looked_for_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    async with aclosing(changes_in(folder, every=0.05)) as changes, asyncio.timeout(PATIENCE):
        for _ in range(3):
            await anext(changes)
        folder.mkdir()
        await anext(changes)
        shutil.rmtree(folder)
        for _ in range(3):
            await anext(changes)
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "noticed late" in record.getMessage()
    assert vars(record)["folder"] == str(folder)


async def test_who_watches_can_be_cancelled(tmp_path: Path) -> None:
    async def watch() -> None:
        async for _ in changes_in(tmp_path, every=NEVER):
            pass

    task = asyncio.create_task(watch())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(PATIENCE):
            await task
