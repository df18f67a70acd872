"""One poller for all who watch: a hundred open pages cost the broker what one does.

It looks every moment while somebody watches or something does not answer, and now and then
otherwise, so that a chart has a past.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.console.asking import heard
from services.console.ops import Look, Ops
from services.console.rates import Rates
from services.console.samples import Sample, Samples
from services.console.watchers import Watcher, Watchers, event
from shared.domain.errors import ImagegateError
from shared.ports.clock import Clock
from shared.ports.decisions import StoredDecision
from shared.runtime.logging import one_line

log = logging.getLogger(__name__)

IDLE = 10.0
"""Seconds between two looks while nobody watches."""

LAST_DECISIONS = 100
"""How many a new watcher is told."""

MAX_TEXT = 300


class Observer:
    """Looks, remembers, tells. `on_look` is told each sample and what did not answer."""

    def __init__(
        self,
        *,
        ops: Ops,
        clock: Clock,
        every: float,
        on_look: Callable[[Sample, dict[str, str]], None],
        on_watching: Callable[[int], None],
    ) -> None:
        self._ops = ops
        self._clock = clock
        self._every = every
        self._on_look = on_look
        self._watchers = Watchers(on_change=on_watching)
        self._wanted = asyncio.Event()
        self._rates = Rates()
        self._samples = Samples(every=every)
        self._decisions: deque[StoredDecision] = deque(maxlen=LAST_DECISIONS)
        self._trouble: dict[str, str] = {}

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self._look_once()
            await self._pause()

    def end(self) -> None:
        """Whoever watches is let go, and whoever comes yet."""
        self._watchers.end()

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """One more who watches; raises TooManyWatchers."""
        first = (
            event("history", self._samples.history()),
            event("decisions", tuple(self._decisions)),
            event("trouble", self._trouble),
        )
        with self._watchers.one_more(first) as watcher:
            self._wanted.set()
            yield watcher

    async def _look_once(self) -> None:
        """A mistake of ours is logged and costs one sample, not the process that we run in."""
        try:
            look, decisions = await asyncio.gather(self._ops.look(), heard(self._new_decisions))
            self._tell(look, decisions)
        except Exception:
            log.exception("the console could not look")

    async def _new_decisions(self) -> tuple[StoredDecision, ...]:
        last = self._decisions[0].id if self._decisions else ""
        return await self._ops.decisions(limit=LAST_DECISIONS, after=last)

    def _tell(self, look: Look, decisions: tuple[StoredDecision, ...] | ImagegateError) -> None:
        sample = self._sample(look)
        self._samples.add(sample)
        trouble = {
            part: one_line(str(error), limit=MAX_TEXT) for part, error in look.trouble.items()
        }
        if isinstance(decisions, ImagegateError):
            trouble.setdefault("store", one_line(str(decisions), limit=MAX_TEXT))
        elif decisions:
            self._decisions.extendleft(reversed(decisions))
            self._watchers.tell(event("decisions", decisions))
        if trouble != self._trouble:
            self._trouble = trouble
            self._watchers.tell(event("trouble", trouble))
        self._watchers.tell(event("sample", sample))
        self._on_look(sample, trouble)

    def _sample(self, look: Look) -> Sample:
        rates = None
        if look.processes is not None:
            rates = self._rates.seen(look.processes, at=self._clock.monotonic())
        return Sample(at=self._clock.now(), queue=look.queue, rates=rates, processes=look.processes)

    async def _pause(self) -> None:
        """Until the next look: a first watcher does not wait for the end of a long pause, and
        trouble, as at the start, is not believed for longer than it lasts."""
        self._wanted.clear()
        await asyncio.sleep(self._every)
        if not self._watchers and not self._trouble:
            try:
                async with asyncio.timeout(max(0.0, IDLE - self._every)):
                    await self._wanted.wait()
            except TimeoutError:
                return
