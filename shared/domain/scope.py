"""Scopes: which rules and exceptions hold for the images of one object.

A `RuleBook` is made once for what the rules file and the exceptions say. What of it can depend on
an object is looked at once for each namespace and user; objects for which the same holds share one
`Scope`, so that what was found out for one of them is at hand for the next.
"""

from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from shared.domain.emergency import Emergency
from shared.domain.exceptions import ImageException
from shared.domain.latest import Latest
from shared.domain.matching import (
    fits_image,
    fits_namespace,
    fits_namespace_labels,
    fits_user,
    fits_written,
)
from shared.domain.reference import ImageReference
from shared.domain.rules import Mode, Rule, Rules

Labels: TypeAlias = Mapping[str, str]
Candidates: TypeAlias = tuple[tuple[Rule, bool], ...]
"""The rules that may decide, in order, and whether each is certain to be about the object."""
DEFAULT = Rule()

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")

MAX_SCOPES = 1_024
MAX_EXTRACTS = 4_096
"""Those that are remembered: of namespaces, with their users where a rule is about some."""
MAX_CHOICES = 16
"""Scopes that one extract remembers: authors choose among them by what they write."""
MAX_RULINGS = 4_096
"""Images whose rules are remembered, of all scopes together."""

_STRICTNESS = (Mode.DENY, Mode.ENFORCE, Mode.ALLOW, Mode.WARN, Mode.AUDIT)
"""What lets least pass of an image that is refused, or about which nothing is known, first."""


class Occasion(msgspec.Struct, frozen=True):
    """What of a request chooses rules."""

    namespace: str
    user: str
    kind: str = ""
    labels: Labels = {}
    annotations: Labels = {}
    """What the author wrote: such rules only add."""
    namespace_labels: Labels | None = None
    """None: not known."""


class Ruling(msgspec.Struct, frozen=True):
    """The rules that one image must satisfy: all of them."""

    decides: Rule | None
    """The first that matched, or the default; None: that depends on the namespace's labels, which
    are not known."""
    adds: tuple[Rule, ...] = ()
    may_decide: tuple[Rule, ...] = ()
    """Where it is not known which rule decides: those of which it is one."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The one that decides, and those that add."""
        return (self.decides, *self.adds) if self.decides else self.adds

    @property
    def strictest(self) -> Rule:
        """The one by which an image is refused that no look-up can help."""
        able = (*self.rules, *self.may_decide)
        return min(able, key=lambda rule: _STRICTNESS.index(rule.mode))


class Scope:
    """What holds for the images of objects that are alike. Told from others by identity."""

    def __init__(
        self,
        *,
        candidates: Candidates = (),
        adds: tuple[Rule, ...] = (),
        default: Rule = DEFAULT,
        exceptions: tuple[ImageException, ...] = (),
        emergency: Emergency | None = None,
        rulings: "Rulings | None" = None,
    ) -> None:
        """`adds`: the rules that add; `rulings`: remembered ones of several scopes."""
        self._candidates = candidates
        self._adds = adds
        self._default = Ruling(default)
        self.exceptions = exceptions
        """Those for the object's namespace, also such as have ended by now."""
        self.emergency = emergency
        """That of the object's namespace, also one that has ended by now."""
        rules = (*(rule for rule, _ in candidates), *adds)
        self.denies_digests = any(_denies_a_digest(rule) for rule in rules)
        """Whether what an image turns out to be may be denied, though what was written is not."""
        self._rulings = rulings if rulings is not None else Latest(MAX_RULINGS)

    def ruling(self, reference: ImageReference) -> Ruling:
        """The rules for one image."""
        if not self._candidates and not self._adds:
            return self._default
        key = (self, reference)
        found = self._rulings.get(key)
        if found is None:
            found = self._found(reference)
            self._rulings[key] = found
        return found

    def _found(self, reference: ImageReference) -> Ruling:
        adds = tuple([rule for rule in self._adds if fits_image(rule.match, reference)])
        may_decide: list[Rule] = []
        for rule, certain in (*self._candidates, (self._default.rules[0], True)):
            if not fits_image(rule.match, reference):
                continue
            if certain and not may_decide:
                return Ruling(rule, adds)
            may_decide.append(rule)
            if certain:
                break
        return Ruling(None, adds, tuple(may_decide))


Rulings: TypeAlias = Latest[tuple[Scope, ImageReference], Ruling]


class Extract:
    """What a namespace and a user leave of a book; it gives the objects there their scopes."""

    def __init__(
        self,
        *,
        deciding: tuple[Rule, ...],
        adding: tuple[Rule, ...],
        share: Callable[[Candidates, tuple[Rule, ...]], Scope],
    ) -> None:
        """`share` finds the scope of the candidates and the rules that add."""
        self._deciding = deciding
        self._adding = adding
        self._share = share
        self._labelled = tuple([rule for rule in deciding + adding if rule.match.namespace_labels])
        self._candidates: dict[tuple[bool | None, ...], Candidates] = {}
        self._scopes: dict[tuple[object, ...], Scope] = {}
        self.needs_namespace_labels = bool(self._labelled)
        self.needs_author = bool(adding)
        """Whether it matters what the author of an object wrote."""
        certain = not self.needs_namespace_labels and not self.needs_author
        self.scope = share(tuple([(rule, True) for rule in deciding]), ()) if certain else None
        """That of every object there; None where more of it has to be known."""

    def scope_of(self, occasion: Occasion) -> Scope:
        """What holds for an object there."""
        if self.scope is not None:
            return self.scope
        labels = occasion.namespace_labels
        fits = tuple([fits_namespace_labels(rule.match, labels) for rule in self._labelled])
        wrote = occasion.kind, occasion.labels, occasion.annotations
        written = tuple([fits_written(rule.match, *wrote) for rule in self._adding])
        scope = self._scopes.get((fits, written))
        if scope is None:
            # What is not known of the namespace keeps no demand away.
            adds = [
                rule
                for rule, wanted in zip(self._adding, written, strict=True)
                if wanted and fits_namespace_labels(rule.match, labels) is not False
            ]
            scope = self._share(self._candidates_where(fits, labels), tuple(adds))
            _remember(self._scopes, (fits, written), scope)
        return scope

    def _candidates_where(self, fits: tuple[bool | None, ...], labels: Labels | None) -> Candidates:
        """The same tuple again: authors can make many scopes that differ in what they add."""
        found = self._candidates.get(fits)
        if found is None:
            able = [(rule, fits_namespace_labels(rule.match, labels)) for rule in self._deciding]
            found = tuple([(rule, fit is True) for rule, fit in able if fit is not False])
            _remember(self._candidates, fits, found)
        return found


class RuleBook:
    """One state of the rules and exceptions; another state is another book."""

    def __init__(
        self,
        rules: Rules,
        signed: Iterable[ImageException] = (),
        emergency: Emergency | None = None,
    ) -> None:
        """`signed`: the exceptions that an operator's key signed; so is the emergency."""
        self.rules = rules
        self.emergency = emergency
        self.exceptions = (*rules.exceptions, *signed)
        """All of them, those of the file first."""
        self.needs_namespace_labels = any(rule.match.namespace_labels for rule in rules.rules)
        self._by_user = any(rule.match.users for rule in rules.rules)
        self._rulings: Rulings = Latest(MAX_RULINGS)
        self._extracts = Latest[tuple[str, str], Extract](MAX_EXTRACTS)
        self._scopes = Latest[tuple[object, ...], Scope](MAX_SCOPES)

    def emergency_in(self, namespace: str) -> Emergency | None:
        """The emergency, if it is for objects of this namespace; also one that has ended."""
        emergency = self.emergency
        return emergency if emergency is not None and emergency.holds_in(namespace) else None

    def scope(self, occasion: Occasion) -> Scope:
        """What holds for an object."""
        return self.extract(occasion.namespace, occasion.user).scope_of(occasion)

    def extract(self, namespace: str, user: str) -> Extract:
        """What is left of the book where such a user makes objects in such a namespace."""
        key = (namespace, user if self._by_user else "")
        extract = self._extracts.get(key)
        if extract is None:
            extract = self._extracts[key] = self._found(namespace, user)
        return extract

    def _found(self, namespace: str, user: str) -> Extract:
        able = [
            rule
            for rule in self.rules.rules
            if fits_namespace(rule.match, namespace) and fits_user(rule.match, user)
        ]
        exceptions = tuple([each for each in self.exceptions if each.holds_in(namespace)])
        emergency = self.emergency_in(namespace)
        return Extract(
            deciding=tuple([rule for rule in able if not rule.match.by_author]),
            adding=tuple([rule for rule in able if rule.match.by_author]),
            share=lambda candidates, adds: self._shared(candidates, adds, exceptions, emergency),
        )

    def _shared(
        self,
        candidates: Candidates,
        adds: tuple[Rule, ...],
        exceptions: tuple[ImageException, ...],
        emergency: Emergency | None,
    ) -> Scope:
        """One scope for all objects for which the same holds, wherever they are."""
        key = (
            _identities([rule for rule, _ in candidates]),
            bytes([certain for _, certain in candidates]),
            _identities(adds),
            _identities(exceptions),
            emergency is not None,
        )
        scope = self._scopes.get(key)
        if scope is None:
            scope = Scope(
                candidates=candidates,
                adds=adds,
                default=self.rules.default,
                exceptions=exceptions,
                emergency=emergency,
                rulings=self._rulings,
            )
            self._scopes[key] = scope
        return scope


Books: TypeAlias = Callable[[], RuleBook]
"""The book that holds now."""


def _remember(found: dict[Key, Found], key: Key, thing: Found) -> None:
    if len(found) >= MAX_CHOICES:
        found.clear()
    found[key] = thing


def _identities(things: Sequence[Rule] | Sequence[ImageException]) -> bytes:
    """Told apart by identity, since the book keeps them as long as it lives; as bytes, since the
    numbers take several times as much."""
    return array("Q", map(id, things)).tobytes()


def _denies_a_digest(rule: Rule) -> bool:
    return rule.mode is Mode.DENY and any(image.names_a_digest for image in rule.match.images)
