"""Revisions: which policy a scanner answers a question by.

A verdict carries the revision it was made by; a later answer that names another one makes it
time to ask again (docs/design/behaviour.md 2, docs/design/protocol.md "What orders evaluations").
"""

import msgspec

from shared.domain.pointer import DAY
from shared.domain.verdict import MAX_AGE, Question, Verdict

RENEW = DAY
"""Milliseconds after which a revision that did not change is written again: it ends."""


class Revision(msgspec.Struct, frozen=True):
    """The policy that an answer named, newest first."""

    question: Question
    policy_id: str
    revision: str
    """SHA-256 of the canonical bundle."""
    seen_at: int
    """When the last answer that named it was evaluated (ms): orders revisions."""
    since: int = 0
    """When it was first seen to answer the question (ms): renewals keep it, so that a policy's
    grace is counted from it. 0, as in records from before it was kept: `seen_at`."""

    def __post_init__(self) -> None:
        if not self.since:
            msgspec.structs.force_setattr(self, "since", self.seen_at)

    @property
    def ends_at(self) -> int:
        """When the record itself ends: as late as the verdicts that it may outdate."""
        return self.seen_at + MAX_AGE

    def changes_to(self, named: "Revision") -> bool:
        """Whether `named` says something new, or this record should be renewed by it."""
        return named.revision != self.revision or named.seen_at >= self.seen_at + RENEW

    def after(self, before: "Revision | None") -> "Revision":
        """This record as it follows `before`: of the same revision it is a renewal."""
        if before is None or before.revision != self.revision:
            return self
        return msgspec.structs.replace(self, since=min(before.since, self.since))

    def outdates(self, verdict: Verdict) -> bool:
        """Whether the verdict was made by another revision, before this one was seen.

        Of one time nobody knows (docs/adr/0033): it is asked once more, and then it is later.
        """
        made_by = verdict.revision
        return bool(made_by) and made_by != self.revision and verdict.evaluated_at <= self.seen_at


def revision_key(question: Question) -> str:
    """The store's key of the revision that a question is answered by."""
    return f"revision:{question.label}"


def revision_of(verdict: Verdict) -> Revision | None:
    """What the verdict's answer says of its policy; None where no policy was asked."""
    if not verdict.revision:
        return None
    return Revision(
        verdict.question, verdict.policy_id, verdict.revision, seen_at=verdict.evaluated_at
    )
