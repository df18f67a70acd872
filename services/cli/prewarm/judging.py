"""Having images judged: so many at a time, until all are known or the time is over.

Steps go to prewarm's lane, where people's images go first, and each is claimed as any other is: of
what somebody asked for already nothing is asked here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from services.cli.prewarm.known import Look, Reader
from services.cli.prewarm.rows import (
    Outcome,
    Part,
    failed_part,
    judged_part,
    ruled_part,
    unfinished_part,
)
from services.cli.prewarm.wanted import Wanted
from services.webhook.catalogue import Image, Known, Missing
from services.webhook.images import Case
from services.webhook.requests import Asked
from services.webhook.terms import Terms
from shared.domain.errors import ImagegateError
from shared.domain.verdict import Subject
from shared.domain.why import Why
from shared.ports.clock import Clock

AT_ONCE = 64
"""Images that are asked for and not yet judged."""
LOOKS_AT_ONCE = 200
POLL = 1.0
"""Seconds from one look at all that is under way to the next."""
AGAIN = 30.0
"""Seconds after which something is asked for again: its message may have been lost, and who has it
in hand keeps ours out."""
TRIES = 90.0
"""Seconds after which an image whose scan fails again and again counts as one that could not be
judged; it is tried again all the same."""
REFUSED = 5.0
"""Seconds until a queue that took nothing is tried again."""

NOT_BEGUN = "it was not asked for yet"
UNDER_WAY = "its scan is under way"


class Asks(Protocol):
    """Whoever puts steps into the queue."""

    async def ask(self, image: Image, subjects: Sequence[Subject], *, why: Why) -> Asked:
        """Have an image judged in prewarm's lane, unless that is under way. Why PREWARM: what is
        good still is left as it is; OPERATOR: whatever is known, and what is no image is told."""


class Progress(msgspec.Struct):
    """How far it is."""

    images: int = 0
    """To be judged."""
    done: Counter[Outcome] = msgspec.field(default_factory=Counter)
    under_way: int = 0
    trouble: str = ""
    """Why nothing moves, where that is known."""


class _Flight(msgspec.Struct):
    """One image that was asked for."""

    image: Image
    began: float
    asked: float = 0.0
    refused: bool = False


class Judging:
    """Fills `parts`: of each wanted image what each of its rules makes of it."""

    def __init__(
        self,
        *,
        reader: Reader,
        asks: Asks,
        terms: Terms,
        clock: Clock,
        at_once: int = AT_ONCE,
        poll: float = POLL,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._reader = reader
        self._asks = asks
        self._terms = terms
        self._clock = clock
        self._at_once = at_once
        self._poll = poll
        self._tell = tell
        self._by_image: dict[object, list[tuple[Wanted, Case]]] = {}
        self._waiting: list[Image] = []
        self._flights: dict[object, _Flight] = {}
        self.progress = Progress()
        self.parts: dict[Wanted, list[Part]] = {}

    async def run(self, wanted: Iterable[Wanted], *, timeout: float, stop: asyncio.Event) -> None:
        """Until all is known, `timeout` seconds are over or somebody stops it: what is not known
        then is told as unfinished. Raises where nobody answers at the beginning."""
        until = self._clock.monotonic() + timeout
        self._sort(wanted)
        await self._look_at_all(stop)
        while (self._waiting or self._flights) and not stop.is_set():
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            await self._go_on()
            self._tell(self.progress)
            if self._flights:
                await _wait(stop, min(left, self._poll))
        await self._last_look()
        self._tell(self.progress)

    def _sort(self, wanted: Iterable[Wanted]) -> None:
        """What needs no look-up is settled, of the rest each image is looked up once."""
        now = self._clock.now()
        for each in wanted:
            parts = self.parts.setdefault(each, [])
            for case in each.cases:
                if isinstance(case, Case):
                    self._by_image.setdefault(case.looked_up, []).append((each, case))
                else:
                    parts.append(ruled_part(case, now=now))
        self.progress.images = len(self._by_image)

    async def _look_at_all(self, stop: asyncio.Event) -> None:
        """What is known already; the rest waits for its turn."""
        images = [cases[0][1].image for cases in self._by_image.values()]
        for start in range(0, len(images), LOOKS_AT_ONCE):
            some = images[start : start + LOOKS_AT_ONCE]
            if stop.is_set():
                self._waiting += images[start:]
                break
            for image, look in zip(some, await self._looks(some), strict=True):
                if look.fresh:
                    self._settle(image, look)
                else:
                    self._waiting.append(image)
            self._tell(self.progress)
        # The first are what most stands on: they are taken from the end.
        self._waiting.reverse()

    async def _looks(self, images: Iterable[Image]) -> list[Look]:
        return await asyncio.gather(*map(self._reader.look, images))

    async def _go_on(self) -> None:
        """Look at what is under way, and ask for more."""
        self.progress.trouble = ""
        flights = list(self._flights.values())
        try:
            looks = await self._looks(each.image for each in flights)
            for flight, look in zip(flights, looks, strict=True):
                await self._advance(flight, look)
            await self._begin()
        except ImagegateError as error:
            # What was known at the beginning may come back: until the time is over.
            self.progress.trouble = str(error)
        self.progress.under_way = len(self._flights)

    async def _begin(self) -> None:
        """As many as there is room for; none where the queue takes nothing."""
        if any(flight.refused for flight in self._flights.values()):
            return
        room = min(self._at_once - len(self._flights), len(self._waiting))
        begun = [_Flight(self._waiting.pop(), self._clock.monotonic()) for _ in range(room)]
        self._flights.update((_key(flight.image), flight) for flight in begun)
        looks = await self._looks(flight.image for flight in begun)
        await asyncio.gather(*map(self._ask, begun, looks))

    async def _advance(self, flight: _Flight, look: Look) -> None:
        now = self._clock.monotonic()
        if look.fresh:
            self._end(flight)
            self._settle(flight.image, look)
        elif _failing(look) and now > flight.began + TRIES:
            self._end(flight)
            self._fail(flight.image, look)
        elif now > flight.asked + (REFUSED if flight.refused else AGAIN):
            await self._ask(flight, look)

    async def _ask(self, flight: _Flight, look: Look) -> None:
        answer = look.answer
        resting = isinstance(answer, Missing) and answer.resting
        flight.asked = self._clock.monotonic()
        if resting:
            return  # a worker tries it again by itself
        why = Why.PREWARM if look.by_an_old_tag else Why.OPERATOR
        asked = await self._asks.ask(flight.image, answer.subjects, why=why)
        flight.refused = asked in (Asked.STORE_DOWN, Asked.QUEUE_DOWN)
        if flight.refused:
            what = "the verdict store" if asked is Asked.STORE_DOWN else "the queue"
            self.progress.trouble = f"{what} takes no request, it is tried again"

    def _end(self, flight: _Flight) -> None:
        del self._flights[_key(flight.image)]

    def _settle(self, image: Image, look: Look) -> None:
        answer = look.answer
        if isinstance(answer, Missing):
            return
        now = self._clock.now()
        for wanted, case in self._by_image[_key(image)]:
            self.parts[wanted].append(
                judged_part(case, answer.judgement, wanted.scope, terms=self._terms, now=now)
            )
        self._count(image)

    def _fail(self, image: Image, look: Look) -> None:
        note = look.answer.note if isinstance(look.answer, Missing) else ""
        for wanted, case in self._by_image[_key(image)]:
            self.parts[wanted].append(failed_part(case, f"{note}; it is tried again by itself"))
        self._count(image)

    def _count(self, image: Image) -> None:
        """By what the first who wants it gets; the bar is about images, not about pods."""
        wanted, _ = self._by_image[_key(image)][0]
        self.progress.done[self.parts[wanted][-1].outcome] += 1

    async def _last_look(self) -> None:
        """The time is over: what is known all the same, be it stale, is told as it is known."""
        rest = [(each.image, UNDER_WAY) for each in self._flights.values()]
        rest += [(image, NOT_BEGUN) for image in reversed(self._waiting)]
        self._flights.clear()
        self._waiting.clear()
        self.progress.under_way = 0
        for start in range(0, len(rest), LOOKS_AT_ONCE):
            some = rest[start : start + LOOKS_AT_ONCE]
            looks: Sequence[Look | None]
            try:
                looks = await self._looks(image for image, _ in some)
            except ImagegateError:
                looks = [None] * len(some)
            for (image, message), look in zip(some, looks, strict=True):
                if look is not None and isinstance(look.answer, Known):
                    self._settle(image, look)
                else:
                    self._unfinished(image, message, look)

    def _unfinished(self, image: Image, message: str, look: Look | None) -> None:
        note = look.answer.note if look and isinstance(look.answer, Missing) else ""
        for wanted, case in self._by_image[_key(image)]:
            said = f"{message}{': ' if note else ''}{note}"
            self.parts[wanted].append(unfinished_part(case, said))
        self._count(image)


def _key(image: Image) -> object:
    """As `Case.looked_up`."""
    return image.reference, image.always, image.question


def _failing(look: Look) -> bool:
    return isinstance(look.answer, Missing) and look.answer.resting


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
