"""What /validate would say of an image now, from what is known: nobody is asked or waited for."""

from collections.abc import Sequence

from services.webhook.answers import decide
from services.webhook.images import Case, Ruled, cases_of
from services.webhook.knowledge import Knowledge
from services.webhook.note import Note, note
from services.webhook.settling import counted
from services.webhook.terms import Terms
from shared.domain.decision import Decision, Judgement, State
from shared.domain.emergency import Emergency
from shared.domain.reference import ImageReference
from shared.domain.scope import RuleBook, Scope
from shared.ports.clock import Clock


class Outlook:
    """Looks ahead: /mutate pins no digest that /validate would refuse where another would pass, and
    nobody is told to try again in vain."""

    def __init__(self, *, knowledge: Knowledge, clock: Clock, terms: Terms) -> None:
        self._knowledge = knowledge
        self._clock = clock
        self._terms = terms

    async def of(
        self, reference: ImageReference, scope: Scope, book: RuleBook, *, always: bool = False
    ) -> Decision:
        """The decision about a pod with this image alone, under every rule of it."""
        now = self._clock.now()
        shape = (str(reference), always)
        cases = cases_of(shape, scope, book.rules, scanner=self._terms.scanner, now=now)
        return decide([await self._note(case, scope, now) for case in cases], now=now)

    async def of_another_try(self, images: Sequence[str], scope: Scope, book: RuleBook) -> Decision:
        """The decision about a pod with these images, were it made again now: /mutate pins their
        tags before, and has their registry asked where that has to be."""
        now = self._clock.now()
        notes = [
            await self._note(case, scope, now, will_be_pinned=True)
            for image in images
            for case in cases_of(
                (image, False), scope, book.rules, scanner=self._terms.scanner, now=now
            )
        ]
        return decide(notes, now=now, emergency=_emergency(scope, now))

    async def _note(
        self, case: Case | Ruled, scope: Scope, now: int, *, will_be_pinned: bool = False
    ) -> Note:
        if isinstance(case, Ruled):
            return note(case.judgement, case.rule, now)
        image = case.image
        judgement = await self._knowledge.known(image) or Judgement(
            image=image.written, state=State.PENDING, reference=image.reference
        )
        ruled = counted(case, judgement, scope, terms=self._terms, now=now, advice=will_be_pinned)
        return note(ruled.judgement, ruled.rule, now)


def _emergency(scope: Scope, now: int) -> Emergency | None:
    emergency = scope.emergency
    return emergency if emergency is not None and emergency.counts(now) else None
