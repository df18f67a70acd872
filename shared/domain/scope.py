"""Scopes: which rules and exceptions hold for the images of one object.

A `RuleBook` is made once for what the rules file and the exceptions say. What of it can depend on
an object is looked at once for each namespace and user; objects for which the same holds share one
`Scope`, so that what was found out for one of them is at hand for the next.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from shared.domain.exceptions import ImageException
from shared.domain.reference import ImageReference
from shared.domain.rules import Match, Rule, Rules

Labels: TypeAlias = Mapping[str, str]
DEFAULT = Rule()

MAX_SCOPES = 1_024
MAX_PLACES = 4_096
"""Namespaces with their users whose rules are remembered."""
MAX_RULINGS = 4_096
"""Images whose rules are remembered, of all scopes together."""


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

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The one that decides, and those that add."""
        return (self.decides, *self.adds) if self.decides else self.adds


class Scope:
    """What holds for the images of objects that are alike. Told from others by identity."""

    def __init__(
        self,
        *,
        candidates: Sequence[tuple[Rule, bool]] = (),
        adds: Sequence[Rule] = (),
        default: Rule = DEFAULT,
        exceptions: Sequence[ImageException] = (),
        rulings: "Rulings | None" = None,
    ) -> None:
        """`candidates`: the rules that may decide, in order, and whether each is certain to be
        about the object; `adds`: those that add; `rulings`: remembered ones of several scopes."""
        self._candidates = tuple(candidates)
        self._adds = tuple(adds)
        self._default = Ruling(default)
        self.exceptions = tuple(exceptions)
        """Those for the object's namespace, also such as have ended by now."""
        self._rulings = rulings if rulings is not None else OrderedDict()

    def ruling(self, reference: ImageReference) -> Ruling:
        """The rules for one image."""
        if not self._candidates and not self._adds:
            return self._default
        key = (self, reference)
        found = self._rulings.get(key)
        if found is None:
            adds = tuple(rule for rule in self._adds if _has(rule.match, reference))
            found = Ruling(self._decides(reference), adds)
            self._rulings[key] = found
            if len(self._rulings) > MAX_RULINGS:
                self._rulings.popitem(last=False)
        return found

    def _decides(self, reference: ImageReference) -> Rule | None:
        for rule, certain in self._candidates:
            if _has(rule.match, reference):
                return rule if certain else None
        return self._default.decides


Rulings: TypeAlias = OrderedDict[tuple[Scope, ImageReference], Ruling]


class RuleBook:
    """One state of the rules and exceptions; another state is another book."""

    def __init__(self, rules: Rules, signed: Iterable[ImageException] = ()) -> None:
        """`signed`: the exceptions that an operator's key signed."""
        self.rules = rules
        self.exceptions = (*rules.exceptions, *signed)
        """All of them, those of the file first."""
        self._deciding = tuple(rule for rule in rules.rules if not rule.match.by_author)
        self._adding = tuple(rule for rule in rules.rules if rule.match.by_author)
        self.needs_namespace_labels = any(rule.match.namespace_labels for rule in rules.rules)
        self.needs_author = bool(self._adding)
        """Whether an object's labels and annotations have to be read."""
        self._by_user = any(rule.match.users for rule in rules.rules)
        self._rulings: Rulings = OrderedDict()
        self._places: OrderedDict[tuple[str, str], Scope | _Place] = OrderedDict()
        self._scopes: OrderedDict[tuple[object, ...], Scope] = OrderedDict()

    def scope(self, occasion: Occasion) -> Scope:
        """What holds for an object."""
        place = self._place(occasion.namespace, occasion.user if self._by_user else "")
        if isinstance(place, Scope):
            return place
        labels = occasion.namespace_labels
        fits = [(rule, _labelled(rule.match, labels)) for rule in place.deciding]
        return self._shared(
            [(rule, fit is True) for rule, fit in fits if fit is not False],
            [
                rule
                for rule in place.adding
                # What is not known of the namespace keeps no demand away.
                if _written(rule.match, occasion) and _labelled(rule.match, labels) is not False
            ],
            place.exceptions,
        )

    def _place(self, namespace: str, user: str) -> "Scope | _Place":
        key = (namespace, user)
        place = self._places.get(key)
        if place is None:
            place = self._found(namespace, user)
            self._places[key] = place
            if len(self._places) > MAX_PLACES:
                self._places.popitem(last=False)
        return place

    def _found(self, namespace: str, user: str) -> "Scope | _Place":
        deciding = [rule for rule in self._deciding if _placed(rule.match, namespace, user)]
        adding = [rule for rule in self._adding if _placed(rule.match, namespace, user)]
        exceptions = [each for each in self.exceptions if each.holds_in(namespace)]
        if adding or any(rule.match.namespace_labels for rule in deciding):
            return _Place(tuple(deciding), tuple(adding), tuple(exceptions))
        return self._shared([(rule, True) for rule in deciding], [], exceptions)

    def _shared(
        self,
        deciding: Sequence[tuple[Rule, bool]],
        adding: Sequence[Rule],
        exceptions: Sequence[ImageException],
    ) -> Scope:
        # By identity: the book keeps its rules and exceptions as long as it lives.
        key = (
            tuple([(id(rule), certain) for rule, certain in deciding]),
            tuple(map(id, adding)),
            tuple(map(id, exceptions)),
        )
        scope = self._scopes.get(key)
        if scope is None:
            scope = Scope(
                candidates=deciding,
                adds=adding,
                default=self.rules.default,
                exceptions=exceptions,
                rulings=self._rulings,
            )
            self._scopes[key] = scope
            if len(self._scopes) > MAX_SCOPES:
                self._scopes.popitem(last=False)
        return scope


class _Place(msgspec.Struct, frozen=True):
    """What a namespace and a user leave of the book, where more of an object decides."""

    deciding: tuple[Rule, ...]
    adding: tuple[Rule, ...]
    exceptions: tuple[ImageException, ...]


Books: TypeAlias = Callable[[], RuleBook]
"""The book that holds now."""


def _placed(match: Match, namespace: str, user: str) -> bool:
    if match.namespaces and not any(glob.matches(namespace) for glob in match.namespaces):
        return False
    return not match.users or any(glob.matches(user) for glob in match.users)


def _has(match: Match, reference: ImageReference) -> bool:
    return not match.images or any(pattern.matches(reference) for pattern in match.images)


def _labelled(match: Match, labels: Labels | None) -> bool | None:
    """Whether the namespace's labels fit; None where that is not known."""
    if not match.namespace_labels:
        return True
    if labels is None:
        return None
    return all(labels.get(key) == value for key, value in match.namespace_labels)


def _written(match: Match, occasion: Occasion) -> bool:
    """Whether it fits what the author wrote."""
    labels, annotations = occasion.labels, occasion.annotations
    return (
        (not match.kinds or occasion.kind in match.kinds)
        and all(labels.get(key) == value for key, value in match.labels)
        and all(annotations.get(key) == value for key, value in match.annotations)
    )
