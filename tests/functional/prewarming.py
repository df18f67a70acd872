"""Images had judged as `imagegate prewarm` does it, in a whole house."""

import asyncio
from collections.abc import Iterable, Mapping

from services.cli.prewarm.found import Found
from services.cli.prewarm.judging import AT_ONCE, Judging, Progress
from services.cli.prewarm.known import Reader
from services.cli.prewarm.namespaces import Namespaces
from services.cli.prewarm.rows import Row, rows_of
from services.cli.prewarm.wanted import Setting, WantedImages
from services.cli.prewarm.wiring import Asking
from services.webhook.requests import Requests
from services.webhook.terms import Terms
from shared.domain.exceptions import ImageException
from shared.domain.scope import RuleBook
from shared.runtime.clock import SystemClock
from tests.fakes.sealing import PlainSealer
from tests.house import CONTROLLER, House

WITHIN = 60.0
"""Seconds: this machine may be busy."""


class Prewarm:
    """One run after another, and what they told of their progress."""

    def __init__(
        self,
        home: House,
        *,
        exceptions: Iterable[ImageException] = (),
        labels: Mapping[str, Mapping[str, str]] | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self._home = home
        self._book = RuleBook(home.book.rules, exceptions)
        self._spaces = Namespaces(labels)
        self._at_once = at_once
        self.most_under_way = 0
        self.trouble = ""
        """The first that it told."""
        self.stop = asyncio.Event()

    async def rows(self, *found: Found, timeout: float = WITHIN) -> list[Row]:
        """What the report would say."""
        clock, terms = SystemClock(), Terms()
        setting = Setting(CONTROLLER, self._spaces.labels_of, self._spaces.is_exempt)
        wanted = WantedImages(book=self._book, terms=terms, setting=setting, now=clock.now())
        for each in found:
            wanted.add(each)
        backends = self._home.backends
        requests = Requests(claims=backends.claims, queue=backends.queue, clock=clock)
        judging = Judging(
            wanted.all,
            reader=Reader(
                records=backends.store,
                unsealer=PlainSealer(),
                rules=self._book.rules,
                terms=terms,
                clock=clock,
            ),
            asks=Asking(requests),
            terms=terms,
            clock=clock,
            at_once=self._at_once,
            poll=0.05,
            tell=self._tell,
        )
        await judging.run(timeout=timeout, stop=self.stop)
        return rows_of(judging.parts.items())

    def _tell(self, progress: Progress) -> None:
        self.most_under_way = max(self.most_under_way, progress.under_way)
        self.trouble = self.trouble or progress.trouble
