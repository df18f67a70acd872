"""Having images judged: so many at a time, until all are known or the time is over."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec

from services.cli.prewarm.flights import Asks, Flights
from services.cli.prewarm.known import Look, Reader
from services.cli.prewarm.outcomes import Outcomes
from services.cli.prewarm.rows import Outcome, Part
from services.cli.prewarm.wanted import Wanted
from services.webhook.catalogue import Image, Known
from services.webhook.terms import Terms
from shared.domain.errors import ImagegateError
from shared.ports.clock import Clock

AT_ONCE = 64
"""Images that are asked for and not yet judged."""
LOOKS_AT_ONCE = 200
POLL = 1.0
"""Seconds from one look at all that is under way to the next."""

Thing = TypeVar("Thing")

NOT_BEGUN = "it was not asked for yet"
UNDER_WAY = "its scan is under way"


class Progress(msgspec.Struct, frozen=True):
    """How far it is."""

    images: int
    """To be judged."""
    done: Counter[Outcome]
    under_way: int = 0
    trouble: str = ""
    """Why nothing moves, where that is known."""


class Judging:
    """Of each wanted image what each of its rules makes of it, once that is known."""

    def __init__(
        self,
        wanted: Iterable[Wanted],
        *,
        reader: Reader,
        asks: Asks,
        terms: Terms,
        clock: Clock,
        at_once: int = AT_ONCE,
        poll: float = POLL,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """What most stands on comes first in `wanted`."""
        self._reader = reader
        self._clock = clock
        self._poll = poll
        self._tell = tell
        self._outcomes = Outcomes(wanted, terms=terms, clock=clock)
        self._flights = Flights(
            reader=reader, asks=asks, outcomes=self._outcomes, clock=clock, at_once=at_once
        )
        self._images = self._outcomes.looked_up
        self._waiting: list[Image] = []
        """The next is the last."""

    @property
    def parts(self) -> Mapping[Wanted, Sequence[Part]]:
        """All of them, once it has run."""
        return self._outcomes.parts

    async def run(self, *, timeout: float, stop: asyncio.Event) -> None:
        """Until all is known, `timeout` seconds are over or somebody stops it: what is not known
        then is told as unfinished. Raises where nobody answers at the beginning."""
        until = self._clock.monotonic() + timeout
        await self._look_at_all(stop)
        while (self._waiting or self._flights) and not stop.is_set():
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            await self._flights.go_on(self._waiting)
            self._say()
            if self._flights:
                await _wait(stop, min(left, self._poll))
        await self._last_look()
        self._say()

    async def _look_at_all(self, stop: asyncio.Event) -> None:
        """What is known already; the rest waits for its turn."""
        for some in _some_at_a_time(self._images):
            if stop.is_set():
                self._waiting += some
                continue
            for image, look in zip(some, await self._reader.look_at(some), strict=True):
                if look.fresh:
                    self._known(image, look)
                else:
                    self._waiting.append(image)
            self._say()
        self._waiting.reverse()

    async def _last_look(self) -> None:
        """The time is over: what is known all the same, be it stale, is told as it is known; by an
        old tag nothing passes for sure."""
        rest = [(image, UNDER_WAY) for image in self._flights.give_up()]
        rest += [(image, NOT_BEGUN) for image in reversed(self._waiting)]
        self._waiting.clear()
        for some in _some_at_a_time(rest):
            looks: Sequence[Look | None]
            try:
                looks = await self._reader.look_at(image for image, _ in some)
            except ImagegateError:
                looks = [None] * len(some)
            for (image, message), look in zip(some, looks, strict=True):
                if look is None or not self._known(image, look):
                    note = look.note if look else ""
                    self._outcomes.unfinished(image, f"{message}{': ' if note else ''}{note}")

    def _known(self, image: Image, look: Look) -> bool:
        """Whether anything is: that is its outcome then."""
        if not isinstance(look.answer, Known):
            return False
        self._outcomes.judged(image, look.answer.judgement, not_renewed=look.not_renewed(look.note))
        return True

    def _say(self) -> None:
        self._tell(
            Progress(
                len(self._images),
                self._outcomes.done,
                len(self._flights),
                self._flights.trouble,
            )
        )


def _some_at_a_time(things: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    return (things[at : at + LOOKS_AT_ONCE] for at in range(0, len(things), LOOKS_AT_ONCE))


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
