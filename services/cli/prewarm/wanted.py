"""Images as a cluster, a folder or a list names them, once each: and what stands on each."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

import msgspec

from services.cli.prewarm.found import Found
from services.webhook.images import Case, Ruled, cases_of
from services.webhook.terms import Terms
from shared.domain.errors import InvalidReference
from shared.domain.reference import parse_reference
from shared.domain.scope import Occasion, RuleBook, Scope

MAX_TITLES = 5
"""Objects that a row names; the others are counted."""
MAX_NAMESPACES = 50


class Setting(msgspec.Struct, frozen=True):
    """What of a review nobody says who names images."""

    user: str
    """Who creates the pods."""
    labels_of: Callable[[str], Mapping[str, str] | None]
    """A namespace's labels; None: not known."""
    is_exempt: Callable[[str], bool]
    """Of a namespace: whether imagegate is never asked about its pods."""


class Wanted(msgspec.Struct, eq=False):
    """One image where the same rules hold, and what stands on it."""

    image: str
    """Normalised, where that can be."""
    scope: Scope
    cases: Sequence[Case | Ruled]
    pods: int = 0
    workloads: int = 0
    namespaces: dict[str, None] = msgspec.field(default_factory=dict)
    makers: dict[str, None] = msgspec.field(default_factory=dict)
    running: dict[str, None] = msgspec.field(default_factory=dict)

    @property
    def titles(self) -> tuple[str, ...]:
        """The first of what stands on it; a pod's name tells less than what made it."""
        return (*self.makers, *self.running)[:MAX_TITLES]

    def count(self, found: Found) -> None:
        """It stands on this image."""
        self.pods += found.runs
        self.workloads += found.makes
        if len(self.namespaces) < MAX_NAMESPACES:
            self.namespaces[found.namespace] = None
        titles = self.running if found.runs else self.makers
        if found.title and len(titles) < MAX_TITLES:
            titles[found.title] = None

    @property
    def weight(self) -> tuple[int, int]:
        """How much would be missed."""
        return self.pods, self.workloads


class Stands(msgspec.Struct):
    """How much stands on something."""

    pods: int = 0
    workloads: int = 0


class WantedImages:
    """Gathers what sources find."""

    def __init__(self, *, book: RuleBook, terms: Terms, setting: Setting, now: int) -> None:
        """`now` in milliseconds."""
        self._book = book
        self._terms = terms
        self._setting = setting
        self._now = now
        self._scopes: list[Scope] = []
        self._wanted: dict[tuple[str, int], Wanted] = {}
        self._together: dict[tuple[Wanted, ...], Stands] = {}
        self.exempt: Counter[str] = Counter()
        """Images that were passed over, by their exempt namespace."""

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def all(self) -> list[Wanted]:
        """What would be missed most comes first."""
        return sorted(self._wanted.values(), key=lambda each: each.weight, reverse=True)

    def add(self, found: Found) -> None:
        """Count what was found under each of its images."""
        if self._setting.is_exempt(found.namespace):
            self.exempt[found.namespace] += len(found.images)
            return
        scope = self._book.scope(self._occasion(found))
        images = _normalised(found, self._book.rules.placeholders)
        wanted = [
            self._wanted.get((image, id(scope))) or self._begin(image, scope) for image in images
        ]
        for each in wanted:
            each.count(found)
        stands = self._together.setdefault(tuple(wanted), Stands())
        stands.pods += found.runs
        stands.workloads += found.makes

    def standing(self, on: Container[Wanted] | None = None) -> Stands:
        """How much stands on one of these images at least; None: all that was found. What names
        several images counts once."""
        stands = Stands()
        for images, each in self._together.items():
            if on is None or any(image in on for image in images):
                stands.pods += each.pods
                stands.workloads += each.workloads
        return stands

    def _begin(self, image: str, scope: Scope) -> Wanted:
        # Kept, so that no other scope gets its identity.
        self._scopes.append(scope)
        # Whether a node asks the registry at each start changes how a review waits, not what is
        # found: a look ahead reads what is known.
        cases = cases_of(
            (image, False), scope, self._book.rules, scanner=self._terms.scanner, now=self._now
        )
        wanted = self._wanted[image, id(scope)] = Wanted(image, scope, cases)
        return wanted

    def _occasion(self, found: Found) -> Occasion:
        return Occasion(
            namespace=found.namespace,
            user=self._setting.user,
            # Pods decide, whoever makes them.
            kind="Pod",
            labels=found.labels,
            annotations=found.annotations,
            namespace_labels=self._setting.labels_of(found.namespace),
        )


def _normalised(found: Found, placeholders: Sequence[str]) -> Iterable[str]:
    """Each image once, however it is spelt; without what a pod mutator replaces in a template."""
    spelt = [each for each in found.images if found.runs or each not in placeholders]
    return dict.fromkeys(map(_spelling, spelt))


def _spelling(image: str) -> str:
    try:
        return str(parse_reference(image))
    except InvalidReference:
        return image
