import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from services.console.ops import Ops
from services.console.rows import VerdictRow
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.dead import MemoryDeadLetters
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import ErrorKind, StoreUnreachable, TransientFailure
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.signing import Kind
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import (
    Action,
    Evaluation,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    last_error_key,
    verdict_key,
)
from shared.ports.scanner import Analysis, ScannerInfo
from shared.ports.steps import Settle
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer

DIGEST = f"sha256:{'a' * 64}"
QUESTION = Question()


class StubScanner:
    """Only tells who it is, unless it is down."""

    def __init__(self) -> None:
        self.down = False

    async def info(self) -> ScannerInfo:
        if self.down:
            raise TransientFailure("anchore at 127.0.0.1:8228 is down")
        return ScannerInfo("anchore", "1.1.0", "v1")

    async def analysis(self, subject: Subject, question: Question) -> Analysis:
        raise NotImplementedError

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysis:
        raise NotImplementedError

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        raise NotImplementedError

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        raise NotImplementedError


class World:
    """An `Ops` on in-process adapters, and pens to write into them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.sealer = PlainSealer()
        self.leases = MemoryScanLeases(clock=self.clock)
        self.claims = MemoryRequestClaims(clock=self.clock, leases=self.leases)
        self.store = MemoryVerdictStore(clock=self.clock, leases=self.leases)
        self.queue = MemoryQueue(clock=self.clock)
        self.letters = MemoryDeadLetters(queue=self.queue, clock=self.clock)
        self.decisions = MemoryDecisionLog(clock=self.clock)
        self.presence = MemoryPresence(clock=self.clock)
        self.scanner = StubScanner()

    def ops(self) -> Ops:
        return Ops(
            store=self.store,
            unsealer=PlainSealer(),
            claims=self.claims,
            leases=self.leases,
            queue=self.queue,
            letters=self.letters,
            decisions=self.decisions,
            presence=self.presence,
            scanner=self.scanner,
            clock=self.clock,
            facts=lambda: {"webhook": "https://127.0.0.1:8443"},
        )

    async def put(
        self, record: msgspec.Struct, *, kind: Kind, key: str, life: int = 60_000
    ) -> None:
        now = self.clock.now()
        sealed = self.sealer.seal(record, kind=kind, key=key, order=now, ends=now + life)
        await self.store.put(sealed, key=key, ends=now + life)

    async def put_verdict(self, outcome: Outcome, *, tag: str | None = "1", **more: object) -> None:
        subject = Subject("a.example/b", DIGEST, tag)
        verdict = msgspec.structs.replace(
            Verdict(
                subject=subject,
                question=QUESTION,
                outcome=outcome,
                evaluated_at=self.clock.now(),
                policy_id="prod",
            ),
            **more,
        )
        key = last_error_key if outcome is Outcome.ERROR else verdict_key
        await self.put(verdict, kind=Kind.VERDICT, key=key(subject, QUESTION))


@pytest.fixture
def world() -> World:
    return World()


def a_step(world: World, lane: Lane) -> Step:
    return Step(
        id="s",
        kind=StepKind.REQUEST,
        lane=lane,
        reference="a.example/b:1",
        question=QUESTION,
        first_seen=world.clock.now(),
    )


def stop(message: str) -> Finding:
    return Finding("packages", "blacklist", "id", Action.STOP, message)


async def test_the_queue_tells_depths_and_the_age_of_the_oldest_wish(world: World) -> None:
    step = a_step(world, Lane.ADMISSION)
    await world.claims.claim("key", step, life=30_000)
    await world.queue.publish(step)
    await world.queue.publish(a_step(world, Lane.CHECK), delay=5)
    world.clock.advance(12_500)
    report = await world.ops().queue()
    lanes = {lane.lane: lane for lane in report.lanes}
    assert set(lanes) == set(Lane)
    assert (lanes[Lane.ADMISSION].ready, lanes[Lane.ADMISSION].oldest) == (1, 12.5)
    assert lanes[Lane.PREWARM].oldest is None
    assert report.delayed[5] == 1
    assert report.dead == 0


class ClaimsAway(MemoryRequestClaims):
    """Request claims in a store that does not answer."""

    async def oldest(self) -> dict[Lane, int]:
        raise StoreUnreachable("away")


async def test_the_queue_tells_depths_also_while_the_store_is_away() -> None:
    world = World()
    world.claims = ClaimsAway(clock=world.clock, leases=world.leases)
    report = await world.ops().queue()
    assert len(report.lanes) == len(Lane)
    assert not report.ages_known


async def test_a_scan_under_way_gives_its_lane_an_age_too(world: World) -> None:
    first_seen = world.clock.now()
    await world.leases.hold(
        "scan", chain="c", hop=0, life=60_000, lane=Lane.CHECK, first_seen=first_seen
    )
    world.clock.advance(3_000)
    lanes = {lane.lane: lane.oldest for lane in (await world.ops().queue()).lanes}
    assert lanes[Lane.CHECK] == 3.0


async def test_a_verdict_is_a_row_with_its_reasons(world: World) -> None:
    await world.put_verdict(Outcome.FAIL, findings=(stop("ssh"), stop("telnet")), scan_id="s1")
    world.clock.advance(2_000)
    (row,) = await world.ops().verdicts(limit=10)
    assert row == VerdictRow(
        image="a.example/b:1",
        digest=DIGEST,
        outcome="fail",
        at=world.clock.now() - 2_000,
        age=2.0,
        stale=False,
        reasons=("ssh", "telnet"),
        policy="prod",
        scan_id="s1",
        findings=("stop: ssh (packages/blacklist)", "stop: telnet (packages/blacklist)"),
    )


async def test_errors_and_tags_that_were_not_found_are_rows_too(world: World) -> None:
    await world.put_verdict(
        Outcome.ERROR, tag=None, error=ErrorKind.ANALYSIS_FAILED, message="no layers"
    )
    world.clock.advance(1_000)
    reference = parse_reference("a.example/nobody:1")
    pointer = Pointer(
        reference=reference.tagged,
        asked_at=world.clock.now(),
        error=ErrorKind.NOT_FOUND,
        message="not found",
    )
    await world.put(pointer, kind=Kind.POINTER, key=pointer_key(reference))
    rows = await world.ops().verdicts(limit=10)
    assert [(row.image, row.outcome, row.reasons) for row in rows] == [
        ("a.example/nobody:1", "error", ("not found",)),
        (f"a.example/b@{DIGEST}", "error", ("no layers",)),
    ]


async def test_a_tag_that_names_a_digest_is_no_row(world: World) -> None:
    reference = parse_reference("a.example/b:1")
    pointer = Pointer(reference=reference.tagged, asked_at=world.clock.now(), digest=DIGEST)
    await world.put(pointer, kind=Kind.POINTER, key=pointer_key(reference))
    assert await world.ops().verdicts(limit=10) == ()


async def test_a_record_that_nobody_we_trust_signed_is_shown_as_such(world: World) -> None:
    world.sealer = PlainSealer(b"a stranger's")
    await world.put_verdict(Outcome.PASS)
    (row,) = await world.ops().verdicts(limit=10)
    assert row.outcome == "not believed"
    assert (row.image, row.digest) == ("a.example/b:1", DIGEST)
    assert "not signed by us" in row.reasons[0]


async def test_the_limit_holds_for_each_kind(world: World) -> None:
    for tag in ("1", "2", "3"):
        await world.put_verdict(Outcome.PASS, tag=tag)
    assert len(await world.ops().verdicts(limit=2)) == 2


async def test_one_image_is_looked_for_among_more_than_the_limit(world: World) -> None:
    for tag in ("1", "2", "3"):
        await world.put_verdict(Outcome.PASS, tag=tag)
    (row,) = await world.ops().verdicts(limit=1, image="a.example/b:3")
    assert row.image == "a.example/b:3"


async def do_nothing(step: Step) -> Settle:
    return Settle.ACK


@pytest.fixture
async def worked(world: World) -> AsyncIterator[World]:
    """A world with a worker at every lane."""
    async with asyncio.TaskGroup() as group:
        consuming = [
            group.create_task(world.queue.consume(lane, do_nothing, concurrency=1)) for lane in Lane
        ]
        await asyncio.sleep(0)
        yield world
        for task in consuming:
            task.cancel()


async def test_the_status_says_that_nobody_works(world: World) -> None:
    report = await world.ops().status()
    assert not report.ok
    (down,) = [part for part in report.parts if not part.ok]
    assert down.name == "workers"
    assert "nobody takes steps of resolve, admission" in down.detail
    assert "start `imagegate worker`" in down.detail


async def test_the_status_asks_every_part_and_a_dead_one_is_a_line(worked: World) -> None:
    world = worked
    report = await world.ops().status()
    assert report.ok
    assert {part.name: part.detail for part in report.parts} == {
        "store": "answers",
        "queue": "answers",
        "scanner": "anchore 1.1.0, API v1",
        "workers": "1 at every lane",
    }
    assert report.facts == {"webhook": "https://127.0.0.1:8443"}
    world.scanner.down = True
    report = await world.ops().status()
    assert not report.ok
    assert [part.detail for part in report.parts if not part.ok] == [
        "anchore at 127.0.0.1:8228 is down"
    ]
