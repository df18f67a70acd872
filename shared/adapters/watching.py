"""Whether something changed in a folder: at once where the system tells it, else now and then.

A ConfigMap is mounted as links into a folder that is replaced whole: what changes there is the
folder's own entry `..data`, so that watching the folder sees it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

EVERY = 10.0
"""Seconds after which one looks again, told or not: some file systems tell nothing."""

SOON = 1.0
"""Seconds after which one looks for the first time: what changed before was told to nobody."""

GATHER = 100
"""Milliseconds in which changes that belong together count as one."""

log = logging.getLogger(__name__)


async def changes_in(folder: Path, *, every: float = EVERY) -> AsyncGenerator[None, None]:
    """Once for each time that something may have changed in `folder`, which may come and go; soon
    after the start, and at least each `every` seconds. Never raises, and ends only when it is
    cancelled."""
    told = False
    while True:
        try:
            async with aclosing(_until_replaced(folder, every)) as changes:
                async for _ in changes:
                    yield
        except (OSError, RuntimeError) as error:
            if not told:
                log.warning(
                    "changes in a folder are noticed late: the system does not tell of them",
                    extra={"folder": str(folder), "seconds": every, "why": str(error)},
                )
            told = True
            await asyncio.sleep(every)
            yield


async def _until_replaced(folder: Path, every: float) -> AsyncGenerator[None, None]:
    """Ends once another folder is there: whoever watches the old one is told nothing of it."""
    watched = await asyncio.to_thread(_identity, folder)
    due = 0.0
    told = awatch(
        folder,
        watch_filter=None,
        debounce=GATHER,
        rust_timeout=round(min(SOON, every) * 1000),
        yield_on_timeout=True,
        recursive=False,
    )
    async with aclosing(told) as batches:
        async for changes in batches:
            if changes or time.monotonic() >= due:
                due = time.monotonic() + every
                yield
            if await asyncio.to_thread(_identity, folder) != watched:
                return


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
