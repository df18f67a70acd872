"""Which images are used: noted beside the answer, written in batches behind it.

Workers keep the verdicts fresh of what is in use (docs/design/refresh.md). Only what has been
judged counts: whoever writes a pod can name images without end. A store that is dead or slow
delays and fails nothing: what it did not take is written with the next batch.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from itertools import islice
from typing import TypeAlias

from services.webhook.catalogue import Image
from shared.domain.decision import Judgement, State
from shared.domain.errors import ImagegateError, StoreMisconfigured
from shared.domain.reference import ImageReference
from shared.domain.verdict import Question
from shared.ports.clock import Clock
from shared.ports.usage import Usage, Use

log = logging.getLogger(__name__)

WRITE_EVERY = 10.0
"""Seconds between two batches: nothing hangs on a use being known sooner."""

WRITE_LIMIT = 5.0
"""Seconds after which a batch is given up."""

MAX_NOTED = 20_000
"""Uses that wait for their batch; about 8 MiB. More are left out until there is room."""

JUDGED = (State.PASS, State.FAIL)

_Noted: TypeAlias = dict[tuple[ImageReference, Question], int]


class UseOutcome(StrEnum):
    """What became of a use, for the metric."""

    WRITTEN = "written"
    LEFT_OUT = "left_out"
    """There was no room for it."""


class Uses:
    """Gathers what was looked up for reviews, and writes it to a `Usage`."""

    def __init__(
        self,
        *,
        usage: Usage,
        clock: Clock,
        on_use: Callable[[UseOutcome, int], None] = lambda outcome, uses: None,
        max_noted: int = MAX_NOTED,
        write_every: float = WRITE_EVERY,
        write_limit: float = WRITE_LIMIT,
    ) -> None:
        """`on_use` is told what became of so many uses."""
        self._usage = usage
        self._clock = clock
        self._on_use = on_use
        self._max_noted = max_noted
        self._write_every = write_every
        self._write_limit = write_limit
        self._noted: _Noted = {}
        self._no_room = 0
        self._unheard = False

    def note(self, image: Image, judgement: Judgement) -> None:
        """An image was looked up, and this is what is known of it."""
        if judgement.state not in JUDGED and not any(each.beside for each in judgement.verdicts):
            return
        key = (image.reference, image.question)
        if key in self._noted or len(self._noted) < self._max_noted:
            self._noted[key] = self._clock.now()
        else:
            self._no_room += 1

    async def run(self) -> None:
        """Write until cancelled; no error ends it."""
        while True:
            await asyncio.sleep(self._write_every)
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted since the last time; what cannot be written now is kept."""
        noted, self._noted = self._noted, {}
        no_room, self._no_room = self._no_room, 0
        if no_room:
            self._on_use(UseOutcome.LEFT_OUT, no_room)
        if not noted:
            return
        try:
            async with asyncio.timeout(self._write_limit):
                await self._usage.record(
                    {Use(str(reference), asked): at for (reference, asked), at in noted.items()}
                )
        except Exception as error:  # whatever befalls them, reviews go on
            self._keep(noted)
            self._unheard_because(error)
        else:
            self._on_use(UseOutcome.WRITTEN, len(noted))
            if self._unheard:
                log.info("what is in use is written down again")
            self._unheard = False

    def _keep(self, noted: _Noted) -> None:
        """For the next batch, beside what was noted meanwhile."""
        room = self._max_noted - len(self._noted)
        older = [key for key in noted if key not in self._noted]
        self._noted.update({key: noted[key] for key in islice(older, room)})
        self._no_room += max(0, len(older) - room)

    def _unheard_because(self, error: Exception) -> None:
        """Said once an outage."""
        if not self._unheard:
            expected = isinstance(error, ImagegateError | TimeoutError)
            wrong = isinstance(error, StoreMisconfigured) or not expected
            log.log(
                logging.ERROR if wrong else logging.WARNING,
                "what is in use is not written down; reviews are answered all the same, and what "
                "is used meanwhile may be judged anew later than it should",
                extra={"why": str(error) or f"no answer within {self._write_limit:g} s"},
                exc_info=None if expected else error,
            )
        self._unheard = True
