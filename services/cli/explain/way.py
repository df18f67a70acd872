"""The whole way of an image: rules, pin, records, judgement, decision, and what would change it."""

from collections.abc import Sequence

import msgspec

from services.cli.explain.records import Reader
from services.cli.explain.saying import remedy, why
from services.cli.explain.telling import Telling
from services.cli.rules.trial import asks_of
from services.cli.tables import age
from services.webhook.answers import decide
from services.webhook.catalogue import Catalogue, Image, Known, Missing
from services.webhook.images import Case, Ruled, Shape, cases_of
from services.webhook.let_pass import is_let_pass, warning_of
from services.webhook.note import GOOD, note
from services.webhook.pinning import Pin, or_the_one_before
from services.webhook.settling import counted
from services.webhook.terms import Terms
from shared.domain.decision import Decision, Judgement, State
from shared.domain.exceptions import ImageException
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import ImageReference
from shared.domain.rules import Mode
from shared.domain.scope import RuleBook, Scope

ANY_POINTER = -1
"""Older than all: what a pointer said is taken for what its registry would say again."""


class Way(msgspec.Struct, frozen=True):
    """One image under one rule."""

    object: str
    """Empty where an image alone was asked about."""
    place: str
    image: str
    rule: str
    mode: str
    adds: bool
    asks: str
    way: tuple[str, ...]
    """What a webhook looks at, in its order."""
    state: State
    allowed: bool
    """Whether this image, under this rule, keeps no pod from starting; without an emergency."""
    says: str
    """What a person would read of it."""
    findings: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    """Those that are about it, also such as do not count: ended, revoked, for another cluster."""
    remedy: str = ""
    """What would make it pass."""
    emergency: str = ""
    """Why it passes now all the same: who declared the emergency, until when and what for."""


class Spot(msgspec.Struct, frozen=True):
    """Where an image stands."""

    namespace: str
    object: str = ""
    """Empty where an image alone is asked about."""
    place: str = ""
    """`containers/web`."""


class Explainer:
    """Walks the way; asks the store and nobody else, and leaves no trace."""

    def __init__(
        self,
        *,
        reader: Reader,
        book: RuleBook,
        terms: Terms,
        now: int,
        elsewhere: Sequence[ImageException] = (),
    ) -> None:
        """`now` in milliseconds; `elsewhere`: exceptions for other clusters, which are told."""
        self._reader = reader
        self._book = book
        self._terms = terms
        self._now = now
        self._elsewhere = elsewhere
        self._telling = Telling(now, book.rules)

    async def explain(self, shape: Shape, scope: Scope, spot: Spot) -> list[Way]:
        """The image under each rule that holds for it. Raises ImagegateError."""
        pinned, told = await self._pinned(shape, scope)
        ways = []
        for case in self._cases(pinned, scope):
            judgement, way = await self._judged(case)
            made = self._way(*self._counted(case, judgement, scope), scope, spot)
            ways.append(msgspec.structs.replace(made, image=shape[0], way=(*told, *way)))
        return ways

    def _cases(self, shape: Shape, scope: Scope) -> Sequence[Case | Ruled]:
        return cases_of(shape, scope, self._book.rules, scanner=self._terms.scanner, now=self._now)

    async def _pinned(self, shape: Shape, scope: Scope) -> tuple[Shape, tuple[str, ...]]:
        """What /validate gets to see of it: the tag with its digest, where rules pin and a digest
        is known."""
        for case in self._cases(shape, scope):
            if not isinstance(case, Case) or case.image.reference.digest is not None:
                continue
            if not self._terms.pins(case.rule):
                continue
            reference = case.image.reference
            (pointer,) = await self._reader.read([pointer_key(reference)])
            if not isinstance(pointer, Pointer) or pointer.digest is None:
                return shape, ()  # its records say why
            told = self._telling.pointer(case.image, pointer)
            pin = await self._pin(case.image, pointer, pointer.digest, scope)
            which = f"the digest before, {pointer.previous}," if pin.instead else "this digest"
            line = f"pinned: /mutate writes {which} behind it"
            return (str(pin.reference), shape[1]), (*told, line)
        return shape, ()

    async def _pin(self, image: Image, pointer: Pointer, digest: str, scope: Scope) -> Pin:
        """As /mutate pins it: where a tag moved, perhaps to the digest before."""

        async def foresee(reference: ImageReference) -> Decision:
            notes = []
            for case in self._cases((str(reference), False), scope):
                judgement, _ = await self._judged(case)
                counted, judgement = self._counted(case, judgement, scope)
                notes.append(note(judgement, counted.rule, self._now))
            return decide(notes, now=self._now)

        pin = Pin(msgspec.structs.replace(image.reference, digest=digest), pointer.asked_at)
        if pointer.previous is None or image.always:
            return pin
        return await or_the_one_before(pin, pointer.previous, foresee)

    async def _judged(self, case: Case | Ruled) -> tuple[Judgement, tuple[str, ...]]:
        if isinstance(case, Ruled):
            return case.judgement, ("no look-up is needed",)
        answer, keys = await self._looked_up(case.image)
        records = await self._reader.read(keys)
        strange = self._reader.strange
        lines = self._telling.records(keys, records, strange=strange, image=case.image)
        if isinstance(answer, Missing):
            judgement = Judgement(
                image=case.image.written,
                state=State.PENDING,
                message=answer.note,
                reference=case.image.reference,
                unresolved=answer.unresolved,
            )
        else:
            judgement = answer.judgement
        return judgement, lines

    def _counted(
        self, case: Case | Ruled, judgement: Judgement, scope: Scope
    ) -> tuple[Case | Ruled, Judgement]:
        """The judgement as it counts, with the rule by which it does."""
        if isinstance(case, Ruled):
            return case, judgement
        ruled = counted(case, judgement, scope, terms=self._terms, now=self._now)
        return case if ruled.rule is case.rule else ruled, ruled.judgement

    async def _looked_up(self, image: Image) -> tuple[Known | Missing, list[str]]:
        """The answer of a webhook's own catalogue, and the keys that it read, in order."""
        keys: dict[str, None] = {}
        wanted: list[str] = []

        def fetch(asked: Sequence[str]) -> list[msgspec.Struct | None]:
            keys.update(dict.fromkeys(asked))
            held = self._reader.held(asked)
            if held is None:
                wanted.extend(asked)
                raise LookupError(asked)
            return held

        while True:
            catalogue = Catalogue(
                image=image,
                rules=self._book.rules,
                now=self._now,
                fetch=fetch,
                renewed=ANY_POINTER,
                policy_grace=self._terms.policy_grace,
                platforms=self._terms.platforms,
            )
            try:
                return catalogue.judge(), list(keys)
            except LookupError:
                await self._reader.read(wanted)
                wanted.clear()

    def _way(self, case: Case | Ruled, judgement: Judgement, scope: Scope, spot: Spot) -> Way:
        good = judgement.state in GOOD
        lax = case.rule.mode in (Mode.WARN, Mode.AUDIT) and judgement.state is not State.INVALID
        return Way(
            object=spot.object,
            place=spot.place,
            image=judgement.image,
            rule=case.rule.name,
            mode=str(case.rule.mode),
            adds=case.rule.match.by_author,
            asks=asks_of(case),
            way=(),
            state=judgement.state,
            allowed=good or lax,
            says=why(judgement, self._now),
            findings=_findings(judgement),
            exceptions=self._exceptions(judgement, scope.exceptions, spot.namespace),
            remedy="" if good else remedy(judgement, case.rule, self._terms, spot.namespace),
            emergency="" if good else self._emergency(case, judgement, scope),
        )

    def _emergency(self, case: Case | Ruled, judgement: Judgement, scope: Scope) -> str:
        emergency = scope.emergency
        refused = note(judgement, case.rule, self._now)
        if emergency is None or not is_let_pass(refused, emergency):
            return ""
        return warning_of(emergency)

    def _exceptions(
        self, judgement: Judgement, here: Sequence[ImageException], namespace: str
    ) -> tuple[str, ...]:
        """Those about the image, and whether each counts."""
        reference = judgement.reference
        if reference is None:
            return ()
        digests = [judgement.digest, *(each.subject.digest for each in judgement.verdicts)]
        elsewhere = [each for each in self._elsewhere if each.holds_in(namespace)]
        about = [each for each in (*here, *elsewhere) if each.is_about(reference, *digests)]
        return tuple(map(self._exception, about))

    def _exception(self, exception: ImageException) -> str:
        name = exception.id or "of the rules file"
        ends = age(max(0, exception.expires - self._now) / 1000)
        over = "revoked" if exception.revoked else "over"
        left = f"ends in {ends}" if exception.counts(self._now) else over
        findings = ", ".join(exception.findings)
        told = f"{name}: {findings}, by {exception.owner} ({exception.reason}), {left}"
        if exception in self._elsewhere:
            told += f"; not here: for cluster {exception.cluster} alone (IMAGEGATE_CLUSTER)"
        return told


def _findings(judgement: Judgement) -> tuple[str, ...]:
    return tuple(
        f"{finding.action}: {finding.message} ({finding.gate}/{finding.trigger}, "
        f"trigger id {finding.trigger_id})"
        for verdict in judgement.verdicts
        for finding in (*verdict.stops, *verdict.warns)
    )
