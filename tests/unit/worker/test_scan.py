"""Scans as chains of steps: the order of operations of docs/design/protocol.md."""

import msgspec
import pytest

from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.pointer import DAY, MINUTE, Pointer, pointer_key
from shared.domain.signing import Kind
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import (
    Outcome,
    Subject,
    scan_key,
)
from shared.domain.why import Why
from shared.ports.claims import Claim, Hold
from tests.fakes.images import Content, index_of, tiny_image
from tests.fakes.sealing import PlainSealer
from tests.unit.worker.rig import CONTENT, QUESTION, Rig, rigged


async def test_a_request_begins_by_deleting_its_claim(rig: Rig) -> None:
    assert await rig.claims.claim("claim", rig.step(), life=30_000) is Claim.TAKEN
    await rig.scan.request(rig.step())
    assert await rig.claims.claim("claim", rig.step(), life=30_000) is Claim.TAKEN


async def test_a_request_writes_the_pointer_submits_by_digest_and_follows_with_a_check(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    pointer = await rig.ledger.pointer(rig.reference)
    assert pointer is not None
    assert (pointer.digest, pointer.is_index) == (CONTENT.digest, False)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    (check, delay), *others = rig.followed
    assert not others
    assert (check.kind, check.lane, check.subject, check.hop) == (
        StepKind.CHECK,
        Lane.CHECK,
        rig.subject,
        1,
    )
    assert delay == 1
    assert await rig.held()


@pytest.mark.parametrize(
    "body",
    [
        CONTENT.manifest + b" ",
        CONTENT.manifest.replace(b'"layers"', b'"Layers"'),
    ],
)
async def test_a_manifest_whose_body_is_not_what_it_seems_is_never_submitted(
    rig: Rig, body: bytes
) -> None:
    rig.registry.replace_body(CONTENT.digest, body)
    await rig.scan.request(rig.step())
    error = await rig.error()
    assert error is not None
    assert error.error is ErrorKind.UNTRUSTED
    assert not rig.anchore.store.submits


async def test_a_manifest_with_a_second_reading_is_never_submitted(rig: Rig) -> None:
    hidden = CONTENT.manifest.replace(b'"layers"', b'"Layers": [], "layers"')
    content = Content(CONTENT.media_type, hidden, CONTENT.blobs)
    reference = rig.registry.put(content, "team/hidden:1")
    await rig.scan.request(rig.step(reference=reference))
    error = await rig.error(Subject(reference.repository, content.digest, "1"))
    assert error is not None
    assert error.error is ErrorKind.UNTRUSTED
    assert not rig.anchore.store.submits


async def test_the_state_is_asked_first_and_a_known_analysis_is_evaluated_at_once(
    rig: Rig,
) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    verdict = await rig.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS
    assert not rig.anchore.store.submits
    assert not rig.followed
    assert not await rig.held()


async def test_a_check_goes_on_until_the_analysis_is_done_and_then_puts_the_verdict(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    for hop in (2, 3):
        await rig.scan.check(rig.next_check())
        assert rig.next_check().hop == hop
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(rig.next_check())
    verdict = await rig.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.scan_id) == (Outcome.PASS, "request-0")
    assert len(verdict.revision) == 64
    assert len(rig.followed) == 3
    assert not await rig.held()


async def test_a_second_request_ends_while_the_first_chain_is_alive(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    await rig.scan.request(rig.step())
    assert len(rig.followed) == 1
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_a_redelivered_request_or_check_that_has_gone_on_ends_itself(rig: Rig) -> None:
    request = rig.step()
    await rig.scan.request(request)
    first_check = rig.next_check()
    await rig.scan.check(first_check)
    await rig.scan.check(rig.next_check())
    await rig.scan.request(request)
    await rig.scan.check(first_check)
    assert [step.hop for step, _ in rig.followed] == [1, 2, 3]


async def test_a_check_that_was_cut_off_before_its_follow_up_goes_on_when_redelivered(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    check = rig.next_check()
    key = scan_key(rig.subject, QUESTION)
    held = await rig.leases.hold(
        key, chain=check.chain, hop=check.hop, life=60_000, lane=Lane.CHECK, first_seen=0
    )
    assert held.outcome is Hold.HELD
    await rig.scan.check(check)
    assert rig.next_check().hop == 2


async def test_a_check_whose_record_is_gone_adopts_the_scan(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    rig.clock.advance(10 * MINUTE)
    assert not await rig.held()
    await rig.scan.check(rig.next_check())
    assert rig.next_check().hop == 2
    assert await rig.held()


async def test_an_image_whose_message_was_lost_may_be_asked_for_again_within_two_minutes(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    rig.clock.advance(2 * MINUTE)
    assert not await rig.held()
    again = rig.step()
    await rig.scan.request(again)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    assert rig.next_check().chain == again.id


async def test_an_analysis_is_timed_from_its_own_beginning_however_long_its_request_lay(
    rig: Rig,
) -> None:
    request = rig.step()
    rig.clock.advance(DAY)
    await rig.scan.request(request)
    assert await rig.error() is None
    rig.clock.advance(DAY - MINUTE)
    await rig.scan.check(rig.next_check())
    assert await rig.error() is None
    rig.clock.advance(2 * MINUTE)
    await rig.scan.check(rig.next_check())
    assert await rig.error() is not None


async def test_a_check_of_a_foreign_chain_ends(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    foreign = msgspec.structs.replace(rig.next_check(), chain="another", hop=9)
    await rig.scan.check(foreign)
    assert len(rig.followed) == 1


async def test_a_good_verdict_ends_a_request_unless_an_operator_asks(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    checks = rig.anchore.store.calls["image_check"]
    await rig.scan.request(rig.step())
    assert rig.anchore.store.calls["image_check"] == checks
    assert not await rig.held()
    await rig.scan.request(rig.step(why=Why.OPERATOR))
    assert rig.anchore.store.calls["image_check"] == checks + 1


async def test_a_record_that_ended_and_was_put_back_counts_for_nothing(rig: Rig) -> None:
    pointer = Pointer(rig.reference.tagged, rig.clock.now(), "sha256:" + "e" * 64)
    key = pointer_key(rig.reference)
    sealed = PlainSealer().seal(
        pointer, kind=Kind.POINTER, key=key, order=pointer.asked_at, ends=pointer.ends_at
    )
    rig.clock.advance(8 * DAY)
    await rig.store.put(sealed, key=key, ends=rig.clock.now() + DAY)
    await rig.scan.request(rig.step())
    found = await rig.ledger.pointer(rig.reference)
    assert found is not None
    assert (found.digest, found.previous) == (CONTENT.digest, None)


async def test_a_worker_whose_clock_is_behind_says_so_instead_of_forgetting_what_it_wrote(
    rig: Rig,
) -> None:
    gone = Pointer(rig.reference.tagged, rig.clock.now() - MINUTE, error=ErrorKind.NOT_FOUND)
    with pytest.raises(TransientFailure, match="its end is past on the store's clock"):
        await rig.ledger.write_pointer(gone)


async def test_an_index_has_every_manifest_that_counts_scanned(rig: Rig) -> None:
    one, two = tiny_image(config={"A": "1"}), tiny_image(config={"A": "2"})
    index = index_of(
        (one, "linux/amd64"), (two, None), (tiny_image(config={"A": "3"}), "linux/s390x")
    )
    reference = rig.registry.put(index, "team/multi:1")
    await rig.scan.request(rig.step(reference=reference))
    assert set(rig.anchore.store.submits) == {one.digest, two.digest}
    record = await rig.ledger.index(index.digest)
    assert record is not None
    assert len(record.manifests) == 3
    assert len({step.id for step, _ in rig.followed}) == 2


async def test_a_fail_that_replaces_a_pass_remembers_when_it_turned(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    rig.clock.advance(-3_000)
    await rig.scan.request(rig.step())
    rig.clock.advance(3_000)
    rig.anchore.store.decide(CONTENT.digest, "stop")
    await rig.scan.request(rig.step(why=Why.OPERATOR))
    verdict = await rig.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.FAIL
    assert verdict.turned_at == verdict.evaluated_at


async def test_a_check_that_would_wait_long_for_its_token_is_put_off_and_asks_nothing() -> None:
    async with rigged(polls=0.1) as rig:
        await rig.scan.request(rig.step())
        await rig.budget.take(Lane.CHECK)
        asked = rig.anchore.store.calls["image_get"]
        await rig.scan.check(rig.next_check())
        assert rig.anchore.store.calls["image_get"] == asked
        check, delay = rig.followed[-1]
        assert (check.hop, check.polls, check.attempt) == (2, 1, 0)
        assert delay == 10
        rig.clock.advance(10_000)
        await rig.scan.check(check)
        assert rig.anchore.store.calls["image_get"] == asked + 1


async def test_in_a_crowd_a_check_comes_again_when_it_is_its_turn_and_its_record_lives_as_long(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    for number in range(2_000):
        key = f"scan:{number}"
        await rig.leases.hold(key, chain=key, hop=0, life=3_600_000, lane=Lane.CHECK, first_seen=0)
    rig.clock.advance(300_000)
    delays = set()
    for _ in range(12):
        await rig.scan.check(rig.next_check())
        delay = rig.followed[-1][1]
        delays.add(delay)
        rig.clock.advance(1000 * delay)
        assert await rig.held()
    assert delays <= {60, 120}
