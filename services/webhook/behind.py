"""What is asked for behind an answer, which does not wait for it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

from services.webhook.catalogue import Image, Need
from services.webhook.requests import Asked, Requests
from shared.domain.step import Lane
from shared.domain.verdict import Subject
from shared.domain.why import Why

log = logging.getLogger(__name__)

REFRESH_WAIT = 2.0
"""Seconds in which a pointer's renewal behind an answer is worth doing."""

MAX_BEHIND = 500
"""Under way behind answers; more is left to the next look-up."""


class Behind:
    """Has what is stale asked again; bounded, and never in anybody's way."""

    def __init__(self, *, requests: Requests) -> None:
        self._requests = requests
        self._doing: set[asyncio.Task[Asked | None]] = set()

    def ask(self, image: Image, need: Need, *, subjects: Sequence[Subject] = ()) -> None:
        """Have it resolved or judged again, unless that was asked a moment ago."""
        if self._requests.asked_lately(image, need):
            return
        self.do(
            lambda: self._requests.ask(
                image,
                need,
                subjects=subjects,
                lane=Lane.PREWARM,
                why=Why.REFRESH,
                within=REFRESH_WAIT,
            ),
            name=f"refresh {image.reference}",
        )

    def do(self, begin: Callable[[], Coroutine[object, None, Asked | None]], *, name: str) -> None:
        """Have something done, unless too much is being done already."""
        if len(self._doing) >= MAX_BEHIND:
            return
        task = asyncio.create_task(begin(), name=name)
        self._doing.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Asked | None]) -> None:
        self._doing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %r", task.get_name(), error, exc_info=error)
