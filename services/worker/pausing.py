"""Pauses inside a step, which a drain does not wait for."""

import asyncio
from collections.abc import Awaitable, Callable

Pause = Callable[[float], Awaitable[bool]]
"""Waits for some seconds; False, at once, when the process is to stop."""


def pause_unless(stopping: asyncio.Event) -> Pause:
    """A pause that ends when `stopping` is set."""

    async def pause(seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await stopping.wait()
        except TimeoutError:
            return True
        return False

    return pause
