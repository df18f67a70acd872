"""One run for each step, however often the broker delivers it.

After a reconnect the handler of the old delivery still runs while the broker hands the step
out again (docs/design/broker-facts.md 3, 8.19). The copy waits for the first run's result; a
result whose settlement was lost with the connection waits for the copy.
"""

import asyncio
from collections.abc import Awaitable, Callable

from shared.domain.latest import Latest
from shared.domain.step import Step
from shared.ports.steps import Settle

MAX_UNSETTLED = 1_000
"""Results kept for a copy; losing one costs a second run."""

Key = tuple[str, int, int]


class Flights:
    """The steps that this process has in hand."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Future[Settle]] = {}
        self._unsettled = Latest[Key, Settle](MAX_UNSETTLED)

    def has(self, step: Step) -> bool:
        """Whether a run or a kept result will answer for `step`."""
        return _key(step) in self._running or _key(step) in self._unsettled

    async def run(self, step: Step, work: Callable[[Step], Awaitable[Settle]]) -> Settle:
        """The result of `work`, or of the run or kept result of the same step."""
        key = _key(step)
        if key in self._unsettled:
            return self._unsettled.pop(key)
        if key in self._running:
            return await asyncio.shield(self._running[key])
        result = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            settle = await work(step)
        except BaseException:
            # Only our own cancellation comes here; the copies end with it, unsettled.
            result.cancel()
            raise
        finally:
            del self._running[key]
        result.set_result(settle)
        return settle

    def keep(self, step: Step, settle: Settle) -> None:
        """Keep a result that could not be told to the broker."""
        self._unsettled[_key(step)] = settle


def _key(step: Step) -> Key:
    return (step.id, step.hop, step.attempt)
