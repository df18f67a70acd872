"""What an operator looks at: the queue, the verdicts, the parts. On ports only.

`OpsView` is what the commands know; `Ops` answers it from the ports.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.console.rows import VerdictRow, keys_about, row_of, untrusted_row
from services.console.view import LaneReport, PartReport, QueueReport, StatusReport
from shared.domain.errors import ImagegateError, InvalidSignature, StoreError
from shared.domain.records import record_type
from shared.domain.step import Lane
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.clock import Clock
from shared.ports.scanner import Scanner, ScannerInfo
from shared.ports.signing import Unsealer
from shared.ports.steps import StepQueue
from shared.ports.verdicts import VerdictStore

PING_TIMEOUT = 5.0
READ_AT_ONCE = 200
PREFIXES = ("verdict:", "error:", "pointer:")


MAX_KEYS = 10_000
"""Keys of each kind that are looked through for one image."""


class NobodyWorks(ImagegateError):
    """The queue answers, but a lane has no worker: what is asked for would wait for ever."""


class Ops:
    """`OpsView` on the ports."""

    def __init__(
        self,
        *,
        store: VerdictStore,
        unsealer: Unsealer,
        claims: RequestClaims,
        leases: ScanLeases,
        queue: StepQueue,
        scanner: Scanner,
        clock: Clock,
        facts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._store = store
        self._unsealer = unsealer
        self._claims = claims
        self._leases = leases
        self._queue = queue
        self._scanner = scanner
        self._clock = clock
        self._facts = facts

    async def queue(self) -> QueueReport:
        """Depths as the broker tells them; ages as the store remembers them, if it answers."""
        depths, seen_at = await asyncio.gather(self._queue.depths(), self._first_seen())
        now = self._clock.now()

        def oldest(lane: Lane) -> float | None:
            seen = [when[lane] for when in seen_at or () if lane in when]
            return max(0, now - min(seen)) / 1000 if seen else None

        lanes = tuple(
            LaneReport(
                lane=depth.lane,
                ready=depth.ready,
                unacknowledged=depth.unacknowledged,
                consumers=depth.consumers,
                oldest=oldest(depth.lane),
            )
            for depth in depths.lanes
        )
        return QueueReport(
            lanes=lanes, delayed=depths.delayed, dead=depths.dead, ages_known=seen_at is not None
        )

    async def _first_seen(self) -> Sequence[dict[Lane, int]] | None:
        """By lane, what waits longest; None while the store is away: depths are worth it alone."""
        try:
            return await asyncio.gather(self._claims.oldest(), self._leases.oldest())
        except StoreError:
            return None

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        """Verdicts, errors beside them, and tags that the registry did not give."""
        keys: list[str] = []
        for prefix in PREFIXES:
            keys += await self._store.keys(prefix, limit=MAX_KEYS if image else limit)
        if image:
            keys = keys_about(image, keys)[:limit]
        rows: list[VerdictRow] = []
        for start in range(0, len(keys), READ_AT_ONCE):
            some = keys[start : start + READ_AT_ONCE]
            found = await self._store.read(some)
            opened = (self._row(key, sealed) for key, sealed in zip(some, found, strict=True))
            rows += [row for row in opened if row is not None]
        return tuple(sorted(rows, key=lambda row: (-row.at, row.image)))

    async def status(self) -> StatusReport:
        """Real questions to store, queue and scanner, side by side; and whether anybody works."""
        parts = await asyncio.gather(
            _part("store", self._store.ping),
            _part("queue", self._queue.ping),
            _part("scanner", self._scanner.info),
            _part("workers", self._workers),
        )
        return StatusReport(
            ok=all(part.ok for part in parts), parts=tuple(parts), facts=dict(self._facts())
        )

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

    def _row(self, key: str, sealed: bytes | None) -> VerdictRow | None:
        if sealed is None:
            return None
        kind, wanted = record_type(key)
        try:
            record, body = self._unsealer.unseal(sealed, wanted, kind=kind, key=key)
        except InvalidSignature as error:
            return untrusted_row(key, str(error))
        return row_of(record, body, self._clock.now())


async def _part(name: str, ask: Callable[[], Awaitable[object]]) -> PartReport:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PING_TIMEOUT):
            answer = await ask()
    except TimeoutError:
        ok, detail = False, f"no answer in {PING_TIMEOUT:g} s"
    except ImagegateError as error:
        ok, detail = False, str(error)
    else:
        ok, detail = True, _told(answer)
    return PartReport(name, ok, detail, round((time.perf_counter() - began) * 1000, 1))


def _told(answer: object) -> str:
    if isinstance(answer, ScannerInfo):
        return f"{answer.name} {answer.version}, API {answer.api}"
    return answer if isinstance(answer, str) else "answers"
