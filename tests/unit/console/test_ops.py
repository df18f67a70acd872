import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from services.console.asking import NoAnswer, heard
from services.console.rows import VerdictRow
from shared.domain.errors import ErrorKind, QueueUnavailable
from shared.domain.pointer import FRESH_ERROR, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.signing import Kind
from shared.domain.step import Lane, Step, encode_step, failed
from shared.domain.verdict import Action, Finding, Outcome
from shared.ports.steps import Settle
from tests.fakes.sealing import PlainSealer
from tests.unit.console.world import DIGEST, World, a_step

pytestmark = pytest.mark.virtual_time


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


async def test_the_queue_tells_depths_also_while_the_store_is_away(world: World) -> None:
    world.store_away("no redis")
    world.queue.discreet = True
    report = await world.ops().queue()
    assert len(report.lanes) == len(Lane)
    assert not report.ages_known
    assert {lane.unacknowledged for lane in report.lanes} == {None}
    assert {lane.delivered for lane in report.lanes} == {None}


async def test_a_look_tells_of_processes_also_while_the_broker_is_away(world: World) -> None:
    await world.beat("w")
    world.broker_away("no rabbit")
    look = await world.ops().look()
    assert look.queue is None
    assert [one.beat.name for one in look.processes or ()] == ["w"]
    assert {part: str(error) for part, error in look.trouble.items()} == {"queue": "no rabbit"}
    with pytest.raises(QueueUnavailable, match="no rabbit"):
        await world.ops().queue()


async def test_a_look_tells_of_the_trouble_of_both(world: World) -> None:
    world.broker_away("no rabbit")
    world.store_away("no redis")
    look = await world.ops().look()
    assert (look.queue, look.processes) == (None, None)
    assert set(look.trouble) == {"queue", "store"}


async def test_what_the_broker_does_not_tell_the_workers_do(world: World) -> None:
    world.queue.discreet = True
    await world.beat("one", in_hand={Lane.CHECK: 2}, delivered={Lane.CHECK: 10})
    await world.beat("two", in_hand={Lane.CHECK: 3, Lane.RESOLVE: 1}, delivered={Lane.CHECK: 5})
    await world.beat("door", service="webhook", in_hand={Lane.CHECK: 99})
    lanes = {lane.lane: lane for lane in (await world.ops().queue()).lanes}
    assert (lanes[Lane.CHECK].unacknowledged, lanes[Lane.CHECK].delivered) == (5, 15)
    assert (lanes[Lane.RESOLVE].unacknowledged, lanes[Lane.RESOLVE].delivered) == (1, 0)


async def test_what_the_broker_tells_is_not_asked_of_the_workers(world: World) -> None:
    await world.beat("one", in_hand={Lane.CHECK: 2})
    lanes = {lane.lane: lane for lane in (await world.ops().queue()).lanes}
    assert lanes[Lane.CHECK].unacknowledged == 0


async def test_without_a_worker_that_tells_nothing_is_made_up(world: World) -> None:
    world.queue.discreet = True
    await world.beat("door", service="webhook")
    lanes = (await world.ops().queue()).lanes
    assert {(lane.unacknowledged, lane.delivered) for lane in lanes} == {(None, None)}


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
        findings=("stop: ssh (packages/blacklist) id", "stop: telnet (packages/blacklist) id"),
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


async def test_an_error_that_counts_no_longer_is_no_row_though_its_record_lives_on(
    world: World,
) -> None:
    await world.put_verdict(
        Outcome.ERROR, error=ErrorKind.ANALYSIS_FAILED, message="no layers", beside=True
    )
    world.clock.advance(FRESH_ERROR[ErrorKind.ANALYSIS_FAILED] - 1)
    assert [row.outcome for row in await world.ops().verdicts(limit=10)] == ["error"]
    world.clock.advance(1)
    assert await world.ops().verdicts(limit=10) == ()
    assert await world.store.keys("error:", limit=10) != []


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
    assert world.scanner is not None
    world.scanner.down = True
    report = await world.ops().status()
    assert not report.ok
    assert [part.detail for part in report.parts if not part.ok] == [
        "anchore at 127.0.0.1:8228 is down"
    ]


async def test_a_scanner_that_is_not_named_is_no_line_of_the_status(worked: World) -> None:
    worked.scanner = None
    report = await worked.ops().status()
    assert report.ok
    assert [part.name for part in report.parts] == ["store", "queue", "workers"]


async def test_a_dead_step_tells_what_it_was_and_why_it_failed(world: World) -> None:
    step = failed(failed(a_step(world, Lane.CHECK), "anchore: 500"), "anchore: hung")
    world.clock.advance(60_000)
    await world.died(encode_step(step))
    world.clock.advance(5_000)
    report = await world.ops().dead(limit=10)
    (row,) = report.letters
    assert report.total == 1
    assert (row.lane, row.reason, row.age, row.waited) == ("check", "rejected", 5.0, 65.0)
    assert (row.kind, row.image, row.why) == ("request", "a.example/b:1", "admission")
    assert (row.attempt, row.history) == (2, ("anchore: 500", "anchore: hung"))
    assert row.body == ""


async def test_one_dead_letter_is_told_with_its_message(world: World) -> None:
    await world.died(b"no step \xff")
    (listed,) = (await world.ops().dead(limit=10)).letters
    row = await world.ops().dead_letter(listed.id)
    assert row is not None
    assert (row.kind, row.waited, row.body) == ("", None, "no step \\xff")
    assert await world.ops().dead_letter("another") is None


async def test_more_dead_letters_than_were_asked_for_are_counted(world: World) -> None:
    for number in range(5):
        await world.died(b"%d" % number)
    report = await world.ops().dead(limit=2)
    assert (report.total, len(report.letters)) == (5, 2)


async def test_decisions_are_told_the_newest_first_and_after_one_only_the_newer(
    world: World,
) -> None:
    await world.decided("a", "b", "c")
    ops = world.ops()
    assert [one.decision.name for one in await ops.decisions(limit=2)] == ["c", "b"]
    oldest = (await ops.decisions(limit=10))[-1]
    assert [one.decision.name for one in await ops.decisions(limit=10, after=oldest.id)] == [
        "c",
        "b",
    ]


async def test_a_question_that_is_cancelled_before_it_began_leaves_nothing_over() -> None:
    asked = asyncio.create_task(heard(asyncio.Event().wait))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    # A coroutine that was made and never awaited would be a warning, which is an error here.
    gc.collect()


async def test_a_question_that_hangs_is_given_up() -> None:
    answer = await heard(asyncio.Event().wait, timeout=0.01)
    assert isinstance(answer, NoAnswer)
    assert str(answer) == "no answer in 0.01 s"
