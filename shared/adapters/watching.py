"""Whether something changed in a folder: at once where the system tells it, else now and then.

A ConfigMap is mounted as links into a folder that is replaced whole: what changes there is the
folder's own entry `..data`, so that watching the folder sees it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import awatch

EVERY = 10.0
"""Seconds after which one looks again, told or not: some file systems tell nothing."""

GATHER = 100
"""Milliseconds in which changes that belong together count as one."""

log = logging.getLogger(__name__)


async def changes_in(folder: Path, *, every: float = EVERY) -> AsyncIterator[None]:
    """Once for each time that something may have changed in `folder`, which may come and go; at
    least each `every` seconds. Never raises, and ends only when it is cancelled."""
    told = False
    while True:
        try:
            async for _ in awatch(
                folder,
                watch_filter=None,
                debounce=GATHER,
                rust_timeout=round(every * 1000),
                yield_on_timeout=True,
                recursive=False,
            ):
                yield
                if not await asyncio.to_thread(folder.is_dir):
                    break  # one that comes back is another one to whoever watches
        except (OSError, RuntimeError) as error:
            if not told:
                log.warning(
                    "changes in a folder are noticed late: the system does not tell of them",
                    extra={"folder": str(folder), "seconds": every, "why": str(error)},
                )
            told = True
        await asyncio.sleep(every)
        yield
