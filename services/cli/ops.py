"""What an operator looks at: the queue, the verdicts, the parts. On ports only.

`OpsView` is what the commands know; `Ops` answers it from the ports, `services.cli.ops_http`
from the Unix socket of a running `imagegate up`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from shared.domain.errors import ImagegateError, InvalidSignature
from shared.domain.pointer import Pointer
from shared.domain.records import record_type
from shared.domain.signing import Body
from shared.domain.step import Lane
from shared.domain.verdict import Verdict
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.clock import Clock
from shared.ports.scanner import Scanner, ScannerInfo
from shared.ports.signing import Unsealer
from shared.ports.steps import StepQueue
from shared.ports.verdicts import VerdictStore

PING_TIMEOUT = 5.0
READ_AT_ONCE = 200
PREFIXES = ("verdict:", "error:", "pointer:")


class LaneReport(msgspec.Struct, frozen=True):
    """One lane: how much stands there, and for how long the oldest has been wanted."""

    lane: Lane
    ready: int
    unacknowledged: int | None
    consumers: int
    oldest: float | None
    """Seconds; None where nothing is under way."""


class QueueReport(msgspec.Struct, frozen=True):
    """The whole queue."""

    lanes: tuple[LaneReport, ...]
    delayed: dict[int, int]
    """How many wait, by delay in seconds."""
    dead: int


class VerdictRow(msgspec.Struct, frozen=True):
    """One record about an image."""

    image: str
    """`host/path:tag`, or `host/path@digest` without a tag."""
    digest: str
    outcome: str
    """pass, fail, error; `not believed` for a record that nobody we trust signed."""
    at: int
    """When the scanner evaluated or the registry was asked (ms); 0 when unknown."""
    age: float
    """Seconds since then."""
    stale: bool
    reasons: tuple[str, ...] = ()
    policy: str = ""
    revision: str = ""
    scan_id: str = ""


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


class OpsView(Protocol):
    """What the commands ask. Errors: ImagegateError."""

    async def queue(self) -> QueueReport:
        """Depths and ages, now."""

    async def verdicts(self, *, limit: int) -> tuple[VerdictRow, ...]:
        """At most `limit` records of each kind, the newest first."""

    async def status(self) -> StatusReport:
        """Asks every part; a dead one is a line of the report, never an error."""


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
        """Depths as the broker tells them; ages as the store remembers them."""
        depths, wanted, scanned = await asyncio.gather(
            self._queue.depths(), self._claims.oldest(), self._leases.oldest()
        )
        now = self._clock.now()

        def oldest(lane: Lane) -> float | None:
            seen = [when[lane] for when in (wanted, scanned) if lane in when]
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
        return QueueReport(lanes=lanes, delayed=depths.delayed, dead=depths.dead)

    async def verdicts(self, *, limit: int) -> tuple[VerdictRow, ...]:
        """Verdicts, errors beside them, and tags that the registry did not give."""
        rows: list[VerdictRow] = []
        for prefix in PREFIXES:
            keys = await self._store.keys(prefix, limit=limit)
            for start in range(0, len(keys), READ_AT_ONCE):
                some = keys[start : start + READ_AT_ONCE]
                found = await self._store.read(some)
                opened = (self._row(key, sealed) for key, sealed in zip(some, found, strict=True))
                rows += [row for row in opened if row is not None]
        return tuple(sorted(rows, key=lambda row: (-row.at, row.image)))

    async def status(self) -> StatusReport:
        """Real questions to store, queue and scanner, side by side."""
        parts = await asyncio.gather(
            _part("store", self._store.ping),
            _part("queue", self._queue.ping),
            _part("scanner", self._scanner.info),
        )
        return StatusReport(
            ok=all(part.ok for part in parts), parts=tuple(parts), facts=dict(self._facts())
        )

    def _row(self, key: str, sealed: bytes | None) -> VerdictRow | None:
        if sealed is None:
            return None
        kind, wanted = record_type(key)
        try:
            record, body = self._unsealer.unseal(sealed, wanted, kind=kind, key=key)
        except InvalidSignature as error:
            reasons = (str(error),)
            name = key.partition(":")[2]
            return VerdictRow(name, "", "not believed", 0, 0.0, False, reasons=reasons)
        return _row_of(record, body, self._clock.now())


def _row_of(record: msgspec.Struct, body: Body, now: int) -> VerdictRow | None:
    if body.ends <= now:
        return None
    if isinstance(record, Verdict):
        return _verdict_row(record, now)
    if isinstance(record, Pointer) and record.error is not None:
        return VerdictRow(
            image=record.reference,
            digest="",
            outcome="error",
            at=record.asked_at,
            age=_seconds(now - record.asked_at),
            stale=False,
            reasons=(record.message or str(record.error),),
        )
    return None


def _verdict_row(verdict: Verdict, now: int) -> VerdictRow:
    subject = verdict.subject
    tagged = f"{subject.repository}:{subject.tag}"
    reasons = tuple(finding.message for finding in verdict.stops)
    return VerdictRow(
        image=tagged if subject.tag else f"{subject.repository}@{subject.digest}",
        digest=subject.digest,
        outcome=str(verdict.outcome),
        at=verdict.evaluated_at,
        age=_seconds(now - verdict.evaluated_at),
        stale=verdict.stale(now),
        reasons=reasons or ((verdict.message,) if verdict.message else ()),
        policy=verdict.policy_id,
        revision=verdict.revision,
        scan_id=verdict.scan_id,
    )


def _seconds(milliseconds: int) -> float:
    return max(0, milliseconds) / 1000


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
    return "answers"
