"""What each rule makes of each wanted image, as it becomes known."""

from collections import Counter
from collections.abc import Callable, Iterable

from services.cli.prewarm.rows import (
    Outcome,
    Part,
    failed_part,
    judged_part,
    not_renewed_part,
    ruled_part,
    unfinished_part,
)
from services.cli.prewarm.wanted import Wanted
from services.webhook.catalogue import Image
from services.webhook.images import Case
from services.webhook.terms import Terms
from shared.domain.decision import Judgement
from shared.ports.clock import Clock


class Outcomes:
    """Filled image by image: one look-up tells it for all who want it."""

    def __init__(self, wanted: Iterable[Wanted], *, terms: Terms, clock: Clock) -> None:
        """What needs no look-up is known at once."""
        self._terms = terms
        self._clock = clock
        self._by_image: dict[object, list[tuple[Wanted, Case]]] = {}
        self.parts: dict[Wanted, list[Part]] = {}
        self.done: Counter[Outcome] = Counter()
        """Of those that are looked up, by what the first who wants one gets: how far it is, is
        about images, not about pods."""
        now = clock.now()
        for each in wanted:
            parts = self.parts.setdefault(each, [])
            for case in each.cases:
                if isinstance(case, Case):
                    self._by_image.setdefault(case.looked_up, []).append((each, case))
                else:
                    parts.append(ruled_part(case, now=now))

    @property
    def looked_up(self) -> list[Image]:
        """Each image once that is looked up, in the order in which they are wanted."""
        return [cases[0][1].image for cases in self._by_image.values()]

    def judged(self, image: Image, judgement: Judgement, *, not_renewed: str = "") -> None:
        """That is known of it; `not_renewed`: as in `Row`."""
        now = self._clock.now()

        def part_of(wanted: Wanted, case: Case) -> Part:
            part = judged_part(case, judgement, wanted.scope, terms=self._terms, now=now)
            return not_renewed_part(part, not_renewed) if not_renewed else part

        self._add(image, part_of)

    def failed(self, image: Image, message: str) -> None:
        """It could not be judged."""
        self._add(image, lambda wanted, case: failed_part(case, message))

    def unfinished(self, image: Image, message: str) -> None:
        """There is no verdict yet, and nobody waits for it any longer."""
        self._add(image, lambda wanted, case: unfinished_part(case, message))

    def _add(self, image: Image, part_of: Callable[[Wanted, Case], Part]) -> None:
        # As `Case.looked_up`.
        cases = self._by_image[image.reference, image.always, image.question]
        parts = [part_of(wanted, case) for wanted, case in cases]
        for (wanted, _), part in zip(cases, parts, strict=True):
            self.parts[wanted].append(part)
        self.done[parts[0].outcome] += 1
