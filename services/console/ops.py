"""What an operator looks at: queue, verdicts, parts, decisions, dead letters. On ports only.

`OpsView` is what the commands know; `Ops` answers it from the ports.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from services.console.asking import heard
from services.console.caring import caring_facts
from services.console.emergency_report import (
    EmergencyReport,
    emergency_facts,
    emergency_reports,
)
from services.console.exception_rows import ExceptionRow, exception_rows
from services.console.lanes import queue_report
from services.console.letters import dead_row
from services.console.records import Records
from services.console.rows import VerdictRow
from services.console.view import DeadReport, DeadRow, PartReport, QueueReport, StatusReport
from shared.domain.errors import ImagegateError
from shared.domain.step import Lane
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.clock import Clock
from shared.ports.decisions import DecisionLog, StoredDecision
from shared.ports.exceptions import ExceptionStore
from shared.ports.presence import Alive, Presence
from shared.ports.scanner import Scanner, ScannerInfo
from shared.ports.signing import Unsealer
from shared.ports.steps import DeadLetters, StepQueue
from shared.ports.verdicts import VerdictStore


class NobodyWorks(ImagegateError):
    """The queue answers, but a lane has no worker: what is asked for would wait for ever."""


class Look(msgspec.Struct, frozen=True):
    """What queue and store told at one time; the trouble of one hides nothing of the other."""

    queue: QueueReport | None
    """None: the broker did not answer."""
    processes: tuple[Alive, ...] | None
    """None: the store did not answer."""
    trouble: dict[str, ImagegateError]
    """`queue` or `store`, and why it did not answer."""


class Ops:
    """`OpsView` on the ports; without a scanner it is not asked."""

    def __init__(
        self,
        *,
        store: VerdictStore,
        unsealer: Unsealer,
        claims: RequestClaims,
        leases: ScanLeases,
        queue: StepQueue,
        letters: DeadLetters,
        decisions: DecisionLog,
        presence: Presence,
        exceptions: ExceptionStore,
        scanner: Scanner | None,
        clock: Clock,
        facts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._store = store
        self._unsealer = unsealer
        self._claims = claims
        self._leases = leases
        self._queue = queue
        self._letters = letters
        self._records = Records(store=store, decisions=decisions, unsealer=unsealer, clock=clock)
        self._presence = presence
        self._exceptions = exceptions
        self._scanner = scanner
        self._clock = clock
        self._facts = facts

    async def look(self) -> Look:
        """Depths as the broker tells them; ages and processes as the store remembers them."""
        depths, seen, alive = await asyncio.gather(
            heard(self._queue.depths), heard(self._first_seen), heard(self._presence.alive)
        )
        trouble: dict[str, ImagegateError] = {}
        for part, answer in (("queue", depths), ("store", alive), ("store", seen)):
            if isinstance(answer, ImagegateError):
                trouble[part] = answer
        first_seen = None if isinstance(seen, ImagegateError) else seen
        processes = None if isinstance(alive, ImagegateError) else tuple(alive)
        if isinstance(depths, ImagegateError):
            return Look(None, processes, trouble)
        report = queue_report(depths, first_seen=first_seen, alive=processes, now=self._clock.now())
        return Look(report, processes, trouble)

    async def queue(self) -> QueueReport:
        """Depths and ages; only the broker's trouble is an error."""
        look = await self.look()
        if look.queue is None:
            raise look.trouble["queue"]
        return look.queue

    async def _first_seen(self) -> Sequence[dict[Lane, int]]:
        return await asyncio.gather(self._claims.oldest(), self._leases.oldest())

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        """Verdicts, errors beside them, and tags that the registry did not give."""
        return await self._records.verdicts(limit=limit, image=image)

    async def status(self) -> StatusReport:
        """Real questions to store, queue and scanner, side by side; and whether anybody works."""
        questions: dict[str, Callable[[], Awaitable[object]]] = {
            "store": self._store.ping,
            "queue": self._queue.ping,
        }
        if self._scanner is not None:
            questions["scanner"] = self._scanner.info
        questions["workers"] = self._workers
        parts = await asyncio.gather(*(_part(name, ask) for name, ask in questions.items()))
        facts = {**await self._alarm(), **self._facts(), **await self._caring()}
        return StatusReport(ok=all(part.ok for part in parts), parts=tuple(parts), facts=facts)

    async def _caring(self) -> dict[str, str]:
        """Nothing where the store does not answer: a part says so."""
        try:
            return caring_facts(await self._presence.alive(), now=self._clock.now())
        except ImagegateError:
            return {}

    async def _alarm(self) -> dict[str, str]:
        try:
            return emergency_facts(await self.emergencies())
        except ImagegateError:
            return {}

    async def dead(self, *, limit: int) -> DeadReport:
        """Dead letters without their bodies, and how many there are."""
        # Not at once: a letter that is being looked at does not count as standing there.
        depths = await self._queue.depths()
        letters = await self._letters.letters(limit=limit)
        now = self._clock.now()
        rows = tuple(dead_row(letter, now=now) for letter in letters)
        return DeadReport(total=max(depths.dead, len(rows)), letters=rows)

    async def dead_letter(self, letter_id: str) -> DeadRow | None:
        """One with its body, if it is there."""
        letter = await self._letters.letter(letter_id)
        return None if letter is None else dead_row(letter, now=self._clock.now(), whole=True)

    async def decisions(self, *, limit: int, after: str = "") -> tuple[StoredDecision, ...]:
        """The newest first."""
        return await self._records.decisions(limit=limit, after=after)

    async def processes(self) -> tuple[Alive, ...]:
        """By service and name."""
        return tuple(await self._presence.alive())

    async def exceptions(self) -> tuple[ExceptionRow, ...]:
        """Those of the store."""
        sealed = await self._exceptions.all()
        return exception_rows(sealed, self._unsealer, now=self._clock.now())

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        """By the store's records, and by what webhooks say of themselves."""
        sealed, alive = await asyncio.gather(self._exceptions.all(), self._presence.alive())
        return emergency_reports(sealed, self._unsealer, alive, now=self._clock.now())

    async def _workers(self) -> str:
        """How many take steps of every lane; raises NobodyWorks."""
        lanes = (await self._queue.depths()).lanes
        idle = [str(lane.lane) for lane in lanes if not lane.consumers]
        if idle:
            raise NobodyWorks(
                f"nobody takes steps of {', '.join(idle)}: start `imagegate worker`, or look at "
                "its log and its /readyz"
            )
        return f"{min(lane.consumers for lane in lanes)} at every lane"


async def _part(name: str, ask: Callable[[], Awaitable[object]]) -> PartReport:
    began = time.perf_counter()
    answer = await heard(ask)
    ok = not isinstance(answer, ImagegateError)
    took = round((time.perf_counter() - began) * 1000, 1)
    return PartReport(name, ok, _told(answer), took)


def _told(answer: object) -> str:
    if isinstance(answer, ScannerInfo):
        return f"{answer.name} {answer.version}, API {answer.api}"
    return str(answer) if isinstance(answer, str | ImagegateError) else "answers"
