"""The last decisions of all webhooks, for people: who asked for what, and why that was the answer.

Only for show. Nothing is decided by what stands here, and no review waits for it
(docs/design/behaviour.md 1).
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

MAX_DECISIONS = 2_000
"""About so many are kept; the oldest go."""

MAX_IMAGES = 16
MAX_TEXT = 512
"""Images of one decision, and characters of one text in it, that are kept."""


class DecisionRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision, or several that were alike within a moment. Texts are from outside."""

    at: int
    """When the (last) review was answered (ms)."""
    allowed: bool
    state: str
    """Of the judgement that decided: a `shared.domain.decision.State`."""
    code: int
    kind: str
    """`Pod`, `Deployment`, ..."""
    namespace: str
    name: str
    """Of the object, or its generateName with a `*` behind it; empty where it has neither."""
    user: str
    operation: str
    images: tuple[str, ...] = ()
    reason: str = ""
    """The first line of what the person reads, or why it was allowed all the same; empty when all
    passed."""
    rule: str = ""
    """The rule that decided; of what passed all that were asked. Empty where none was."""
    dry_run: bool = False
    took: float = 0.0
    """Milliseconds of the (last) review."""
    times: int = 1
    """How many reviews this line stands for."""
    webhook: str = ""
    """Which process answered: a `shared.ports.presence.Beat.name`."""


class StoredDecision(msgspec.Struct, frozen=True):
    """A decision and its place among the others."""

    id: str
    """Grows from one to the next within one store."""
    decision: DecisionRecord


class DecisionLog(Protocol):
    """A bounded list of the last decisions.

    Guarantees: what was written is read back in the order of writing, the newest first, until
    about `MAX_DECISIONS` newer ones stand before it; an entry that cannot be read is left out.

    Errors: StoreError.
    """

    async def write(self, decisions: Sequence[DecisionRecord]) -> None:
        """Add these, in this order, in one stroke."""

    async def recent(self, *, limit: int, after: str = "") -> list[StoredDecision]:
        """At most `limit` of them, the newest first; with `after` only those written after the
        decision of that id."""
