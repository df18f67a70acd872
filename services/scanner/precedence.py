"""People and workers first: what is done by itself waits for a moment in which nobody asks."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 1.0
"""Seconds. Where somebody always asks, what is done by itself takes one turn in so long."""


class Precedence:
    """Who asks now."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._asking = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Somebody waits for what happens in the block."""
        self._asking += 1
        self._nobody.clear()
        try:
            yield
        finally:
            self._asking -= 1
            if not self._asking:
                self._nobody.set()

    async def gap(self) -> None:
        """Wait until nobody asks, or patience ends."""
        try:
            async with asyncio.timeout(self._patience):
                await self._nobody.wait()
        except TimeoutError:
            return
