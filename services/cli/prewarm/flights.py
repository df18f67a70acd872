"""Images that were asked for and are not judged yet: looked at, asked for again, given up.

Steps go to prewarm's lane, where people's images go first, and each is claimed as any other is: of
what somebody asked for already nothing is asked here.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.cli.prewarm.known import Look, Reader
from services.cli.prewarm.outcomes import Outcomes
from services.webhook.catalogue import Image, Known, Missing
from services.webhook.requests import Asked
from shared.domain.errors import ImagegateError
from shared.domain.verdict import Subject
from shared.domain.why import Why
from shared.ports.clock import Clock

AGAIN = 30.0
"""Seconds after which something is asked for again: its message may have been lost, and who has it
in hand keeps ours out."""
TRIES = 90.0
"""Seconds after which an image whose scan fails again and again counts as one that could not be
judged, and one whose tag could not be asked about by what it named; it is tried again all the
same. Else one registry that is away held every place until the end."""
REFUSED = 5.0
"""Seconds until a queue that took nothing is tried again."""


class Asks(Protocol):
    """Whoever puts steps into the queue."""

    async def ask(self, image: Image, subjects: Sequence[Subject], *, why: Why) -> Asked:
        """Have an image judged in prewarm's lane, unless that is under way. Why PREWARM: what is
        good still is left as it is; OPERATOR: whatever is known, and what is no image is told."""


class _Flight(msgspec.Struct, eq=False):
    """One image that was asked for."""

    image: Image
    began: float
    """When it could begin: anew once a queue takes it that took nothing."""
    asked: float = 0.0
    refused: bool = False
    note: str = ""
    """The last that was said of why; errors are forgotten sooner than flights are given up."""


class Flights:
    """No more than `at_once` of them."""

    def __init__(
        self, *, reader: Reader, asks: Asks, outcomes: Outcomes, clock: Clock, at_once: int
    ) -> None:
        self._reader = reader
        self._asks = asks
        self._outcomes = outcomes
        self._clock = clock
        self._at_once = at_once
        self._flights: list[_Flight] = []
        self.trouble = ""
        """Why nothing moves, where that is known."""

    def __len__(self) -> int:
        return len(self._flights)

    async def go_on(self, waiting: list[Image]) -> None:
        """Look at all of them, and begin as many of `waiting` as there is room for, from its end.
        Who does not answer now may do so later: that is trouble, and raises nothing."""
        self.trouble = ""
        try:
            flights = list(self._flights)
            looks = await self._reader.look_at(flight.image for flight in flights)
            for flight, look in zip(flights, looks, strict=True):
                if self._has_landed(flight, look):
                    self._flights.remove(flight)
                else:
                    await self._ask_again(flight, look)
            await self._begin(waiting)
        except ImagegateError as error:
            self.trouble = str(error)

    def give_up(self) -> list[Image]:
        """Nobody waits for them any longer."""
        images = [flight.image for flight in self._flights]
        self._flights.clear()
        return images

    async def _begin(self, waiting: list[Image]) -> None:
        """None where the queue takes nothing."""
        if any(flight.refused for flight in self._flights):
            return
        room = min(self._at_once - len(self._flights), len(waiting))
        begun = [_Flight(waiting.pop(), self._clock.monotonic()) for _ in range(room)]
        self._flights += begun
        looks = await self._reader.look_at(flight.image for flight in begun)
        await asyncio.gather(*map(self._ask, begun, looks))

    def _has_landed(self, flight: _Flight, look: Look) -> bool:
        answer = look.answer
        flight.note = look.note or flight.note
        late = self._clock.monotonic() > flight.began + TRIES
        if isinstance(answer, Known):
            tried = late and not flight.refused
            landed = look.fresh or (look.by_an_old_tag and tried)
            if landed:
                self._outcomes.judged(
                    flight.image, answer.judgement, not_renewed=look.not_renewed(flight.note)
                )
            return landed
        given_up = answer.resting and late
        if given_up:
            self._outcomes.failed(flight.image, f"{look.note}; it is tried again by itself")
        return given_up

    async def _ask_again(self, flight: _Flight, look: Look) -> None:
        if self._clock.monotonic() > flight.asked + (REFUSED if flight.refused else AGAIN):
            await self._ask(flight, look)

    async def _ask(self, flight: _Flight, look: Look) -> None:
        answer = look.answer
        flight.asked = self._clock.monotonic()
        if isinstance(answer, Missing) and answer.resting:
            return  # a worker tries it again by itself
        why = Why.PREWARM if look.by_an_old_tag else Why.OPERATOR
        asked = await self._asks.ask(flight.image, answer.subjects, why=why)
        refused = asked in (Asked.STORE_DOWN, Asked.QUEUE_DOWN)
        if flight.refused and not refused:
            flight.began = flight.asked
        flight.refused = refused
        if refused:
            what = "the verdict store" if asked is Asked.STORE_DOWN else "the queue"
            self.trouble = f"{what} takes no request, it is tried again"
