"""What is known at once of the images of a scope: from what was noted lately, or the near cache."""

from typing import TypeAlias

import msgspec

from services.webhook.entries import Entry
from services.webhook.images import Case, Ruled, Shape, cases_of
from services.webhook.knowledge import Knowledge
from services.webhook.lookups import Lookups
from services.webhook.note import Note, note
from services.webhook.recent import Recent, Resting
from services.webhook.settling import counted
from services.webhook.terms import Terms
from shared.domain.decision import Judgement
from shared.domain.pointer import FOREVER
from shared.domain.scope import RuleBook, Scope
from shared.ports.clock import Clock

Noted: TypeAlias = tuple[Note, ...]


class Glance(msgspec.Struct, frozen=True):
    """What is known of an image, and what is not: all of it has to be good."""

    known: Resting[Noted]
    unknown: tuple[Case, ...] = ()


class Notes:
    """The notes of the last images, by their scope; made anew once what they rest on changed."""

    def __init__(
        self, *, knowledge: Knowledge, clock: Clock, terms: Terms, lookups: Lookups
    ) -> None:
        """`lookups` is told of what was answered from what is kept here."""
        self._knowledge = knowledge
        self._clock = clock
        self._terms = terms
        self._lookups = lookups
        self._recent: Recent[tuple[Scope, Shape], Noted] = Recent(clock=clock)

    def glance(
        self, shape: Shape, scope: Scope, book: RuleBook, *, asks: bool, advice: bool
    ) -> Glance:
        """What is known of an image without waiting for anything. `asks`: have what is stale
        asked again behind the answer; `advice`: the object is a workload."""
        # A workload's tags are judged by other terms than a pod's.
        kept = None if advice else self._recent.get((scope, shape), book=book)
        if kept is not None:
            self._lookups.kept(1)
            return Glance(kept)
        found = self._looked(shape, scope, book, asks=asks, advice=advice)
        known = found.known
        if known.entries and not found.unknown and not advice:
            self._recent.keep((scope, shape), known, book=book)
        return found

    def settled(
        self, case: Case, judgement: Judgement, scope: Scope, *, advice: bool
    ) -> tuple[Note, int]:
        """What counts of a judgement under the case's rule, and until when (ms)."""
        now = self._clock.now()
        ruled = counted(case, judgement, scope, terms=self._terms, now=now, advice=advice)
        return note(ruled.judgement, ruled.rule, now), ruled.until

    def _looked(
        self, shape: Shape, scope: Scope, book: RuleBook, *, asks: bool, advice: bool
    ) -> Glance:
        now = self._clock.now()
        notes: list[Note] = []
        unknown: list[Case] = []
        entries: list[Entry] = []
        until = FOREVER
        for case in cases_of(shape, scope, book.rules, scanner=self._terms.scanner, now=now):
            if isinstance(case, Ruled):
                notes.append(note(case.judgement, case.rule, now))
                until = min(until, case.until)
                continue
            glimpse = self._knowledge.glance(case.image, asks=asks)
            if glimpse is None:
                unknown.append(case)
                continue
            made, changes = self.settled(case, glimpse.judgement, scope, advice=advice)
            notes.append(made)
            entries.extend(glimpse.entries)
            until = min(until, glimpse.until, changes)
        return Glance(Resting(tuple(notes), until, tuple(entries)), tuple(unknown))
