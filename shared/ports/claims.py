"""The two claims: a webhook's right to publish, and a worker's right to scan.

See docs/design/protocol.md, "Order of operations" and "Needed and not".
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from shared.domain.step import Lane, Step


class Claim(StrEnum):
    """What became of a request claim."""

    TAKEN = "taken"
    HELD = "held"
    """Somebody else asked already."""
    SCANNING = "scanning"
    """A scan record is in sight: no claim is needed."""
    OVER = "over"
    """The step's tenant has MAX_OF_A_TENANT outstanding: nothing was claimed nor remembered. Never
    where the claim is held or a scan in sight."""


MAX_OF_A_TENANT = 20
"""New analyses that one namespace may have outstanding (docs/design/behaviour.md 5): requests that
hold no scan yet, and scans under way. A request counts for its claim's life at most, a scan for its
record's: nothing counts for ever."""


class RequestClaims(Protocol):
    """Who publishes a request, and what was wanted but not begun.

    Guarantees: of any number of concurrent claims of one key exactly one is TAKEN within its
    life; a step whose claim was taken is remembered until it is begun, also after the claim
    was dropped or ended (bounded: the oldest 10 000). A claim of a step in prewarm's lane keeps
    nobody from claiming the same for another lane: people do not wait behind what nobody waits for.
    Nor does a scan record of prewarm's: the request promotes it (`ScanLeases.hold`).
    """

    async def claim(self, key: str, step: Step, *, life: int, scans: Sequence[str] = ()) -> Claim:
        """Claim `key` for `life` milliseconds; `scans` are scan records that make it needless.

        It counts for `step.tenant`, once however often it is claimed.
        """

    async def begun(self, scans: Sequence[str]) -> int | None:
        """When the oldest of these scans that are under way was first wanted (ms); None: none is.
        Of one that was promoted: when people first wanted it."""

    async def drop(self, key: str) -> None:
        """Publishing failed for certain: others may claim. The step stays remembered, and counts
        for its tenant."""

    async def begin(self, key: str) -> None:
        """A worker has the request in hand: forget claim and step. For its tenant it counts on."""

    async def keep(self, key: str, *, owner: str, life: int) -> bool:
        """A request that comes again later, in prewarm's lane, claims `key` for `life` milliseconds
        (0: no longer), so that of all who ask for the same in that lane one goes on. `owner` names
        it, however often it comes; nothing is remembered. False, and nothing is done, where the
        claim is somebody else's."""

    async def free(self, step: Step) -> None:
        """The request ended and holds no scan: it counts for its tenant no longer."""

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


class Held(msgspec.Struct, frozen=True):
    """What became of it, and what is known of the record."""

    outcome: Hold
    chain: str
    """Whose the scan is."""
    lane: Lane
    """In which lane of checks the scan is wanted: that of whoever wants it most urgently."""
    adopted: bool = False
    """There was no record."""


class Holder(msgspec.Struct, frozen=True):
    """The chain that holds a scan record, and for whom."""

    chain: str
    lane: Lane
    first_seen: int


class ScanLeases(Protocol):
    """At most one chain of checks a manifest and question ("scan lease" = scan record).

    Guarantees: each call is one stroke, on the store's clock; what a record stands for (a place, a
    count of its tenant's) ends with it, whether it is put, released or over. A record of prewarm's
    that the people's lane meets is theirs from then on (promoted): its chain learns of it by its
    next hold, and its place is free.

    Errors: StoreError.
    """

    async def hold(
        self,
        key: str,
        *,
        chain: str,
        hop: int,
        life: int,
        lane: Lane,
        first_seen: int,
        tenant: str = "",
        claim: str = "",
    ) -> Held:
        """Take, renew or adopt the record of `key` for `life` milliseconds.

        HELD when there is no record (adoption), or it is of this chain with a hop not higher
        than `hop`; the record then holds `hop`. A scan counts for `tenant` in place of the request
        whose claim was `claim`; that counts no longer, whatever comes of this.
        """

    async def renew(self, key: str, *, chain: str, life: int) -> bool:
        """Have the record live for `life` milliseconds more: the chain's next step comes later than
        usual. False, and nothing is done, where it is not this chain's."""

    async def place(self, key: str, *, chain: str, most: int) -> bool:
        """Before prewarm's chain has its image analysed: take one of `most` places that prewarm has
        in all. True also where it has one, or is promoted and needs none; False where there is
        none, or the record is not this chain's."""

    async def room(self, *, most: int) -> bool:
        """Whether a place is free now: a hint."""

    async def holder(self, key: str) -> Holder | None:
        """Whose record it is, if there is one."""

    async def release(self, key: str, *, chain: str) -> None:
        """End the scan without a record (what was put is removed by the put)."""

    async def oldest(self) -> dict[Lane, int]:
        """By lane, when the oldest scan under way was first seen (ms); of one that was promoted,
        when people first wanted it."""
