"""What the scanner does by itself, beside answering."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)


@asynccontextmanager
async def going_on(works: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Each of them from here to the end of the block. None is meant to end by itself: the log says
    so of one that does, and the others go on."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        log.error(
            "what the scanner does by itself has ended: %s; start it again",
            task.get_name(),
            exc_info=task.exception(),
        )
