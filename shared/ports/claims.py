"""The two claims: a webhook's right to publish, and a worker's right to scan.

See docs/design/protocol.md, "Order of operations" and "Needed and not".
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from shared.domain.step import Lane, Step


class Claim(StrEnum):
    """What became of a request claim."""

    TAKEN = "taken"
    HELD = "held"
    """Somebody else asked already."""
    SCANNING = "scanning"
    """A scan record is in sight: no claim is needed."""
    OVER = "over"
    """The step's tenant has MAX_OF_A_TENANT outstanding: nothing was claimed nor remembered."""


MAX_OF_A_TENANT = 20
"""New analyses that one namespace may have outstanding (docs/design/behaviour.md 5)."""


class RequestClaims(Protocol):
    """Who publishes a request, and what was wanted but not begun.

    Guarantees: of any number of concurrent claims of one key exactly one is TAKEN within its
    life; a step whose claim was taken is remembered until it is begun, also after the claim
    was dropped or ended (bounded: the oldest 10 000). A claim of a step in prewarm's lane keeps
    nobody from claiming the same for another lane: people do not wait behind what nobody waits for.
    """

    async def claim(self, key: str, step: Step, *, life: int, scans: Sequence[str] = ()) -> Claim:
        """Claim `key` for `life` milliseconds; `scans` are scan records that make it needless."""

    async def drop(self, key: str) -> None:
        """Publishing failed for certain: others may claim. The step stays remembered."""

    async def begin(self, key: str) -> None:
        """A worker has the request in hand: forget claim and step."""

    async def overdue(self, *, age: int, limit: int) -> list[Step]:
        """Remembered steps not begun `age` milliseconds after they were claimed or last named
        here: to be published again. Each is named to one caller in that time."""

    async def oldest(self) -> dict[Lane, int]:
        """By lane, when the oldest step not begun was first seen (ms)."""


class Hold(StrEnum):
    """What became of an attempt to hold a scan record."""

    HELD = "held"
    FOREIGN = "foreign"
    """Another chain is alive: this one ends."""
    BEHIND = "behind"
    """This chain has gone on already: this delivery is a copy and ends."""


class ScanLeases(Protocol):
    """At most one chain of checks a manifest and question ("scan lease" = scan record)."""

    async def hold(
        self, key: str, *, chain: str, hop: int, life: int, lane: Lane, first_seen: int
    ) -> Hold:
        """Take, renew or adopt the record of `key` for `life` milliseconds, in one stroke.

        HELD when there is no record (adoption), or it is of this chain with a hop not higher
        than `hop`; the record then holds `hop`.
        """

    async def release(self, key: str, *, chain: str) -> None:
        """End the scan without a record (what was put is removed by the put)."""

    async def oldest(self) -> dict[Lane, int]:
        """By lane, when the oldest scan under way was first seen (ms)."""
