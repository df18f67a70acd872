"""Which verdicts of an image's manifests count now, and the errors beside them.

A verdict whose policy was replaced is served while it is judged anew: for `policy_grace` after the
new policy was first seen, and longer where nobody has tried that yet, so that workers which are
behind take nothing from anybody (docs/design/behaviour.md 2).
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from shared.domain.pointer import FOREVER
from shared.domain.revision import Revision, revision_key
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    Verdict,
    last_error_key,
    verdict_key,
)

Records = Sequence[msgspec.Struct | None]
Fetch = Callable[[Sequence[str]], Records]
"""The records of keys, absent ones as None."""


class Worth(StrEnum):
    """What a verdict is worth whose policy was replaced."""

    GRACE = "grace"
    """Served meanwhile."""
    OVERRUN = "overrun"
    """The same, though the grace is over: nobody has tried to judge it anew."""
    OVER = "over"
    """Served no longer."""


class Verdicts:
    """Verdicts of one question as they count at `now`, one manifest at a time."""

    def __init__(
        self,
        *,
        question: Question,
        now: int,
        policy_grace: int,
        fetch: Fetch,
        moved_on: Callable[[], bool | None],
    ) -> None:
        """Times in milliseconds. `moved_on`: whether the tag beside a digest names it no longer, so
        that workers judge it anew without the tag (`Pointing.subjects`); None: nobody knows."""
        self._question = question
        self._now = now
        self._policy_grace = policy_grace
        self._fetch = fetch
        self._moved_on = moved_on
        self._revision: Revision | None = None
        self.until = FOREVER
        """When time alone changes what was said so far (ms)."""
        self.replaced = False
        """Something that was served was judged by a policy that has been replaced."""
        self.overrun = False
        """Something was served though its grace is over."""
        self.dropped = False
        """Something is there and was not served, since its grace is over."""

    def of(self, subjects: Sequence[Subject]) -> Verdict | None:
        """The verdict that holds of one manifest, whose `subjects` differ in their tags: the first
        whose policy answers still, else the first that is served all the same. Of a tag that has
        moved on the verdict that was made last comes first: the tag's own is judged anew no more
        (docs/adr/0035)."""
        keys = [verdict_key(subject, self._question) for subject in subjects]
        # One question to the store: what is not held is read in one round.
        *records, revision = self._fetch([*keys, revision_key(self._question)])
        self._revision = revision if isinstance(revision, Revision) else None
        found = [
            record
            for record in records
            if isinstance(record, Verdict) and record.outcome is not Outcome.ERROR
        ]
        found = self._ranked(found)
        for verdict in found:
            if self._replaced_by(verdict) is None:
                return verdict
        for verdict in found:
            worth = self._worth(verdict)
            if worth is not Worth.OVER:
                self.replaced = True
                self.overrun = self.overrun or worth is Worth.OVERRUN
                return verdict
        self.dropped = self.dropped or bool(found)
        return None

    def stale(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Those that it is time to ask about again."""
        stale = []
        for verdict in verdicts:
            if verdict.stale(self._now) or self._replaced_by(verdict) is not None:
                stale.append(verdict)
            else:
                self.until = min(self.until, verdict.stale_at)
        return stale

    def anew(self, verdict: Verdict) -> tuple[Subject, ...]:
        """As what workers judge it anew: without its tag where that has moved on, with it or
        without where nobody knows."""
        subject = verdict.subject
        moved_on = self._moved_on() if subject.tag else False
        if moved_on is False:
            return (subject,)
        untagged = Subject(subject.repository, subject.digest)
        return (untagged,) if moved_on else (subject, untagged)

    def errors(self, subjects: Sequence[Subject]) -> list[Verdict | None]:
        """The errors that are the answer still: beside a verdict their records live longer."""
        errors = [
            error if error is not None and not error.stale(self._now) else None
            for error in self.last_errors(subjects)
        ]
        self.until = min(self.until, *(error.stale_at for error in errors if error), FOREVER)
        return errors

    def last_errors(self, subjects: Sequence[Subject]) -> list[Verdict | None]:
        """The errors whose records are there."""
        records = self._fetch([last_error_key(each, self._question) for each in subjects])
        return [record if isinstance(record, Verdict) else None for record in records]

    def _replaced_by(self, verdict: Verdict) -> Revision | None:
        """The policy that answers now, where another one made the verdict."""
        revision = self._revision
        return revision if revision is not None and revision.outdates(verdict) else None

    def _worth(self, verdict: Verdict) -> Worth:
        revision = self._replaced_by(verdict)
        assert revision is not None
        if not self._policy_grace:
            return Worth.OVER
        end = revision.since + self._policy_grace
        if self._now < end:
            self.until = min(self.until, end)
            return Worth.GRACE
        # By its tag, too: what was tried stays tried when that moves on.
        errors = self.last_errors(list(dict.fromkeys((verdict.subject, *self.anew(verdict)))))
        tried = any(error.evaluated_at >= revision.since for error in errors if error is not None)
        return Worth.OVER if tried else Worth.OVERRUN

    def _ranked(self, found: list[Verdict]) -> list[Verdict]:
        """In the order in which they count. Where nobody knows whether the tag has moved on, only a
        fail goes before the tag's own: what is said of a tag that is gone ends within a minute."""
        if len(found) < 2:
            return found
        moved_on = self._moved_on()
        by_time = sorted(found, key=lambda verdict: verdict.order, reverse=True)
        fails = by_time[0].outcome is Outcome.FAIL
        return by_time if moved_on or (moved_on is None and fails) else found
