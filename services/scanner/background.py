"""What the scanner does by itself, beside answering."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def going_on(works: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Each of them from here to the end of the block."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
