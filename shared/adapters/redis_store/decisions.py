"""The last decisions of all webhooks: a bounded stream in Redis."""

from collections.abc import Sequence

import msgspec

from shared.adapters.entries import MAX_DECISION_BYTES, decision_id, read_entry, write_decision
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.decisions import DECIDED, RECENT
from shared.ports.decisions import MAX_DECISIONS, DecisionRecord, StoredDecision

PAGE = 100
MAX_PAGES = 2 * MAX_DECISIONS // PAGE
"""More than one answer can need, also where some entries are not ours."""


class RedisDecisionLog:
    """A `shared.ports.decisions.DecisionLog`. Raises StoreError as the store does.

    A batch whose answer was lost on the way is sent once more, and may then stand there twice.
    """

    def __init__(self, *, links: RedisLinks, max_decisions: int = MAX_DECISIONS) -> None:
        self._links = links
        self._max_decisions = max_decisions
        self._stream = f"{links.prefix}decisions"

    async def write(self, decisions: Sequence[DecisionRecord]) -> None:
        kept = decisions[-self._max_decisions :]
        if not kept:
            return
        await self._links.run(
            DECIDED,
            keys=[self._stream],
            args=[self._max_decisions, *map(write_decision, kept)],
            doing="write decisions",
        )

    async def recent(self, *, limit: int, after: str = "") -> list[StoredDecision]:
        first, last = _first_after(after), "+"
        recent: list[StoredDecision] = []
        for _ in range(MAX_PAGES):
            page = await self._page(first, last)
            recent += page.decisions
            if len(recent) >= limit or not page.oldest:
                break
            last = f"({page.oldest}"
        return recent[: max(0, limit)]

    async def _page(self, first: str, last: str) -> "_Page":
        """A part at a time: the whole would take the server's time and be late itself."""
        oldest, *found = await self._links.run(
            RECENT,
            keys=[self._stream],
            args=[first, last, PAGE, MAX_DECISION_BYTES],
            doing="read decisions",
        )
        decisions = [
            StoredDecision(name.decode(), decision)
            for name, written in zip(found[::2], found[1::2], strict=True)
            if (decision := read_entry(written, DecisionRecord)) is not None
        ]
        return _Page(oldest.decode(), decisions)


class _Page(msgspec.Struct, frozen=True):
    """Some decisions, the newest first."""

    oldest: str
    """The id of the last entry that was looked at; empty: there are no more."""
    decisions: list[StoredDecision]


def _first_after(after: str) -> str:
    """The smallest id above `after`; what is no id stands for the beginning."""
    named = decision_id(after)
    return f"{named[0]}-{named[1] + 1}" if named else "-"
