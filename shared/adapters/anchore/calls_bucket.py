"""How many calls a second a server gets from this process: first come, first served."""

import asyncio

DUST = 1e-6
"""What may be missing of a turn: less than the microsecond in which it comes."""


class CallsBucket:
    """`rate` calls a second, of which a second's worth is saved up, at least a whole one."""

    def __init__(self, *, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._saved = self._most
        self._at = 0.0
        self._first = asyncio.Lock()
        self._waiting = 0

    async def take(self, *, within: float) -> bool:
        """Wait for a turn, for `within` seconds at most; whether it came. Who stands too far back
        for that is told at once."""
        if self._waiting >= self._most + within * self._rate:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(within), self._first:
                await self._fill()
                self._saved -= 1
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    async def _fill(self) -> None:
        """Until there is a whole turn."""
        while True:
            now = asyncio.get_running_loop().time()
            self._saved = min(self._most, self._saved + (now - self._at) * self._rate)
            self._at = now
            missing = 1 - self._saved
            if missing <= DUST:
                return
            await asyncio.sleep(missing / self._rate)
