"""Waiting for what comes by itself: how long a good answer takes is the machine's business."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 45.0
"""Seconds: far more than anything takes on a machine that is busy with other tests."""


async def eventually(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool],
    *,
    within: float = PATIENCE,
    every: float = 0.02,
) -> None:
    """Wait until `condition` holds; TimeoutError when it does not in time. Times are seconds."""
    async with asyncio.timeout(within):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(every)
