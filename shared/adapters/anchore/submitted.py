"""What was submitted a moment ago: Anchore may not show it yet.

A 404 in that time is no reason to submit again (docs/design/anchore-v2.md 2). Kept in the process
and not in the step: another worker that looks meanwhile submits once more, which analyses nothing
anew and is answered with the state, and then remembers it, too.
"""

from shared.domain.verdict import Question, Subject
from shared.ports.clock import Clock

MAX_KEPT = 10_000

_Key = tuple[str, str, str]


class Submitted:
    """Bounded; forgets after `lag` seconds."""

    def __init__(self, *, clock: Clock, lag: float) -> None:
        self._clock = clock
        self._lag = lag
        self._ends: dict[_Key, float] = {}
        """In the order in which they end."""

    def add(self, subject: Subject, question: Question) -> None:
        """It was taken now."""
        if not self._lag:
            return
        now, key = self._clock.monotonic(), _key(subject, question)
        self._ends.pop(key, None)
        while self._ends:
            oldest, ends = next(iter(self._ends.items()))
            if ends > now and len(self._ends) < MAX_KEPT:
                break
            del self._ends[oldest]
        self._ends[key] = now + self._lag

    def lately(self, subject: Subject, question: Question) -> bool:
        """Whether it was taken so lately that Anchore need not know of it yet."""
        return self._ends.get(_key(subject, question), 0.0) > self._clock.monotonic()


def _key(subject: Subject, question: Question) -> _Key:
    return question.account, subject.digest, subject.scan_tag
