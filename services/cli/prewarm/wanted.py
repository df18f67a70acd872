"""Images as a cluster, a folder or a list names them, once each: and what stands on each."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

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
    titles: dict[str, None] = msgspec.field(default_factory=dict)

    @property
    def weight(self) -> tuple[int, int]:
        """How much would be missed."""
        return self.pods, self.workloads


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
        self.pods = 0
        self.workloads = 0
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
        self.pods += found.runs
        self.workloads += bool(found.title) and not found.runs
        scope = self._book.scope(self._occasion(found))
        for image in _normalised(found.images, self._book.rules.placeholders, found):
            wanted = self._wanted.get((image, id(scope))) or self._begin(image, scope)
            wanted.pods += found.runs
            wanted.workloads += bool(found.title) and not found.runs
            if len(wanted.namespaces) < MAX_NAMESPACES:
                wanted.namespaces[found.namespace] = None
            if found.title and len(wanted.titles) < MAX_TITLES:
                wanted.titles[found.title] = None

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


def _normalised(images: Iterable[str], placeholders: Sequence[str], found: Found) -> Iterable[str]:
    """Each image once, however it is spelt; without what a pod mutator replaces in a template."""
    spelt = [each for each in images if found.runs or each not in placeholders]
    return dict.fromkeys(map(_spelling, spelt))


def _spelling(image: str) -> str:
    try:
        return str(parse_reference(image))
    except InvalidReference:
        return image
