"""How long scans take that people wait for: from when this process had one queued to the word of
its verdict.

Nothing is read for it. The store's announcement of a verdict names the manifest, the tag under
which it was judged, and the question; an error tells of no end, since many are tried again.
"""

import statistics
from collections import deque
from collections.abc import Callable

from shared.domain.latest import Latest
from shared.domain.pointer import SECOND
from shared.domain.reference import ImageReference
from shared.domain.verdict import Question, judged_by
from shared.ports.clock import Clock

LAST = 64
"""Scans of one question that are remembered; the median of so few is soon another one."""

MAX_QUESTIONS = 64
MAX_WANTED = 5_000
"""Scans whose end is looked out for."""

_Name = tuple[str, str, str]
"""Repository, digest or tag, the question's label."""


class Timings:
    """Measures the scans that this process asked for first."""

    def __init__(
        self, *, clock: Clock, on_measured: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """`on_measured` is told the seconds of each scan."""
        self._clock = clock
        self._on_measured = on_measured
        self._wanted = Latest[_Name, int](MAX_WANTED)
        self._taken = Latest[str, deque[int]](MAX_QUESTIONS)

    def began(self, reference: ImageReference, question: Question, *, at: int) -> None:
        """This process was the first to ask for it, at that time (ms), or did so once more."""
        for name in _names(reference, question.label):
            self._wanted.setdefault(name, at)

    def forget(self, reference: ImageReference, question: Question) -> None:
        """It is known, and no word of that came: when it ended nobody can say."""
        for name in _names(reference, question.label):
            self._wanted.pop(name, None)

    def changed(self, key: str | None) -> None:
        """An announcement of the store; None: some may have been missed."""
        if key is None:
            self._wanted.clear()
            return
        judged = judged_by(key) if self._wanted else None
        if judged is None:
            return
        subject, label = judged
        names = [(subject.repository, of, label) for of in (subject.digest, subject.tag) if of]
        began = [self._wanted.pop(name, None) for name in names]
        for since in began:
            if since is not None:
                self._measured(label, self._clock.now() - since)
                break

    def usual(self, question: Question) -> int:
        """The median of the last scans that asked this (ms); 0 before anything was measured."""
        taken = self._taken.get(question.label)
        return round(statistics.median(taken)) if taken else 0

    def _measured(self, label: str, taken: int) -> None:
        lasts = self._taken.get(label) or deque(maxlen=LAST)
        lasts.append(max(1, taken))
        self._taken[label] = lasts
        self._on_measured(taken / SECOND)


def _names(reference: ImageReference, label: str) -> list[_Name]:
    """How its verdict may be called: by the digest, and by the tag where that stands for an index
    whose manifests are judged."""
    of = (reference.digest, reference.tag)
    return [(reference.repository, each, label) for each in of if each]
