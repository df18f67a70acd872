"""What operators can ask, and the shapes of the answers: the JSON of the console's API is these.

`services.console.ops` answers from the ports; a command may ask a console or a running
`imagegate up` over HTTP instead and gets the same (docs/design/console.md).
"""

from collections.abc import Collection
from typing import Protocol

import msgspec

from services.console.emergency_report import EmergencyReport
from services.console.exception_rows import ExceptionRow
from services.console.rows import VerdictRow
from shared.domain.step import Lane
from shared.ports.decisions import StoredDecision
from shared.ports.presence import Alive
from shared.ports.steps import Ended


class LaneReport(msgspec.Struct, frozen=True):
    """One lane: how much stands there, and for how long the oldest has been wanted."""

    lane: Lane
    ready: int
    unacknowledged: int | None
    """Deliveries not settled yet, as broker or workers tell; None: nobody tells."""
    consumers: int
    oldest: float | None
    """Seconds; None where nothing is under way."""
    delivered: int | None = None
    """Steps handed to the handlers of all workers alive since they started; None: not known."""


class QueueReport(msgspec.Struct, frozen=True):
    """The whole queue."""

    lanes: tuple[LaneReport, ...]
    delayed: dict[int, int]
    """How many wait, by delay in seconds."""
    dead: int
    ages_known: bool = True
    """Whether the store could be asked what waits longest."""


class PartReport(msgspec.Struct, frozen=True):
    """One dependency: whether it answers, what it says of itself, how long that took (ms)."""

    name: str
    ok: bool
    detail: str
    took: float


class StatusReport(msgspec.Struct, frozen=True):
    """All parts, and facts worth a line."""

    ok: bool
    parts: tuple[PartReport, ...]
    facts: dict[str, str]


class DeadRow(msgspec.Struct, frozen=True):
    """One dead letter. Texts are from outside."""

    id: str
    lane: str
    reason: str
    """Why it died, in the broker's word: `rejected`, `delivery_limit`."""
    age: float | None
    """Seconds since it died; None where the broker does not tell."""
    kind: str = ""
    """resolve, request or check; empty for a message that is no step."""
    image: str = ""
    why: str = ""
    attempt: int = 0
    history: tuple[str, ...] = ()
    """Why each attempt failed, the last one at the end."""
    waited: float | None = None
    """Seconds since somebody first wanted it; None for a message that is no step."""
    body: str = ""
    """The message itself, bounded; only where one letter is asked for."""


class DeadReport(msgspec.Struct, frozen=True):
    """The dead letters, the oldest first."""

    total: int
    """How many there are; more than there are rows where the limit cuts."""
    letters: tuple[DeadRow, ...]


class RecordsView(Protocol):
    """What the store remembers of images and pods. Errors: ImagegateError."""

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        """At most `limit` records of each kind, the newest first; of `image` only, if given.

        An image is named as `services.console.rows.keys_about` says.
        """

    async def decisions(self, *, limit: int, after: str = "") -> tuple[StoredDecision, ...]:
        """The last decisions of all webhooks, the newest first; see `DecisionLog.recent`."""


class OpsView(RecordsView, Protocol):
    """What the commands ask. Errors: ImagegateError."""

    async def queue(self) -> QueueReport:
        """Depths and ages, now."""

    async def status(self) -> StatusReport:
        """Asks every part; a dead one is a line of the report, never an error."""

    async def dead(self, *, limit: int) -> DeadReport:
        """At most `limit` dead letters, the oldest first."""

    async def dead_letter(self, letter_id: str) -> DeadRow | None:
        """One dead letter with its message; None when it is not there (any more)."""

    async def processes(self) -> tuple[Alive, ...]:
        """Our processes that were heard lately."""

    async def exceptions(self) -> tuple[ExceptionRow, ...]:
        """The signed exceptions of the store: those that count first, what ends first first."""

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        """Of each cluster that is known whether there is an emergency, and in which of its webhooks
        it counts."""


class DeadLetterActions(Protocol):
    """What changes dead letters: not for the console, which only reads. Errors: ImagegateError."""

    async def requeue(self, letter_ids: Collection[str]) -> Ended:
        """See `shared.ports.steps.DeadLetters.requeue`."""

    async def drop(self, letter_ids: Collection[str]) -> Ended:
        """See `shared.ports.steps.DeadLetters.drop`."""
