"""Scans as chains of steps: the order of operations of docs/design/protocol.md."""

import contextlib

import msgspec
import pytest

from shared.domain.errors import ErrorKind, InvalidReference, TransientFailure
from shared.domain.pointer import DAY, FRESH_ERROR, MINUTE, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision
from shared.domain.signing import Kind
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    scan_key,
    unresolved,
)
from shared.domain.why import Why
from shared.ports.claims import Claim, Hold
from tests.fakes.images import Content, index_of, tiny_image
from tests.fakes.registry import answer
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


async def test_a_scanner_that_hangs_is_written_down_and_leaves_the_scan_to_whoever_asks_next() -> (
    None
):
    async with rigged(scanner_budget=0.2) as rig:
        rig.anchore.store.fault("*", "hang")
        with pytest.raises(TransientFailure, match="did not answer in"):
            await rig.scan.request(rig.step())
        error = await rig.error()
        assert error is not None
        assert error.error is ErrorKind.TRANSIENT
        assert not await rig.held()


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


async def test_the_policy_that_answered_is_written_down_and_outdates_older_verdicts(
    rig: Rig,
) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    verdict, revision = await rig.verdict(), await rig.ledger.revision(QUESTION)
    assert verdict is not None
    assert revision is not None
    assert (revision.revision, revision.policy_id) == (verdict.revision, verdict.policy_id)

    checks = rig.anchore.store.calls["image_check"]
    newer = msgspec.structs.replace(revision, revision="f" * 64, seen_at=verdict.evaluated_at + 1)
    await rig.ledger.write_revision(newer)
    await rig.scan.request(rig.step())
    assert rig.anchore.store.calls["image_check"] == checks + 1


async def test_a_policy_that_answers_still_is_renewed_and_keeps_since_when_it_does(
    rig: Rig,
) -> None:
    async with rigged() as elsewhere:
        elsewhere.anchore.store.know(CONTENT.digest, elsewhere.reference.tagged)
        await elsewhere.scan.request(elsewhere.step())
        seen = await elsewhere.ledger.revision(QUESTION)
    assert seen is not None
    assert seen.since == seen.seen_at
    days_ago = seen.seen_at - 3 * DAY
    before = msgspec.structs.replace(seen, seen_at=days_ago, since=days_ago)
    await rig.ledger.write_revision(before)
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    renewed = await rig.ledger.revision(QUESTION)
    assert renewed is not None
    assert renewed.seen_at >= seen.seen_at
    assert renewed.since == days_ago


async def test_an_older_answer_does_not_bring_an_old_policy_back(rig: Rig) -> None:
    newer = Revision(QUESTION, "p", "new", seen_at=rig.clock.now())
    await rig.ledger.write_revision(newer)
    await rig.ledger.write_revision(
        msgspec.structs.replace(newer, revision="old", seen_at=newer.seen_at - 1)
    )
    assert await rig.ledger.revision(QUESTION) == newer


async def test_an_analysis_that_failed_is_an_error_with_the_scanners_reason(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.fail(CONTENT.digest, "no such layer")
    await rig.scan.check(rig.next_check())
    error = await rig.error()
    assert error is not None
    assert error.error is ErrorKind.ANALYSIS_FAILED
    assert "no such layer" in error.message
    assert await rig.verdict() is None
    assert not await rig.held()
    await rig.scan.request(rig.step())
    assert rig.anchore.store.submits == {CONTENT.digest: 2}


async def test_an_error_stands_beside_a_pass_and_never_replaces_it(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    rig.anchore.store.fault("image_check", "problems")
    await rig.scan.request(rig.step(why=Why.OPERATOR))
    verdict, error = await rig.verdict(), await rig.error()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS
    assert error is not None
    assert error.error is ErrorKind.UNTRUSTED


async def test_an_error_about_what_was_judged_before_is_kept_to_tell_that_it_was_tried(
    rig: Rig,
) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    rig.anchore.store.fault("*", "500")
    with pytest.raises(TransientFailure):
        await rig.scan.request(rig.step(why=Why.OPERATOR))
    tried = rig.clock.now()
    rig.clock.advance(DAY - 1)
    error = await rig.error()
    assert error is not None
    assert error.evaluated_at == tried
    assert error.stale(rig.clock.now())
    rig.clock.advance(1)
    assert await rig.error() is None


async def test_an_error_about_what_was_never_judged_costs_no_memory_for_longer_than_it_counts(
    rig: Rig,
) -> None:
    made_up = parse_reference(f"{rig.reference.repository}@sha256:{'0' * 64}")
    await rig.scan.request(rig.step(reference=made_up))
    error = await rig.error(unresolved(made_up))
    assert error is not None
    assert error.error is ErrorKind.NOT_FOUND
    rig.clock.advance(FRESH_ERROR[ErrorKind.NOT_FOUND])
    assert await rig.store.keys("error:", limit=10) == []


async def test_a_passing_fault_is_noted_and_leaves_the_scan_to_whoever_asks_next(
    rig: Rig,
) -> None:
    rig.anchore.store.fault("*", "500")
    with pytest.raises(TransientFailure):
        await rig.scan.request(rig.step())
    error = await rig.error()
    assert error is not None
    assert error.error is ErrorKind.TRANSIENT
    assert not await rig.held()
    rig.anchore.store.heal()
    await rig.scan.request(rig.step())
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_a_registry_that_is_away_moves_no_pointer_and_is_noted(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    before = await rig.ledger.pointer(rig.reference)
    rig.registry.fault("manifests", answer(503))
    rig.clock.advance(1_000)
    with pytest.raises(TransientFailure):
        await rig.scan.request(rig.step())
    assert await rig.ledger.pointer(rig.reference) == before
    assert await rig.error(unresolved(rig.reference)) is not None


async def test_a_tag_that_moved_to_an_index_nobody_can_read_no_longer_names_the_old_digest(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    rig.clock.advance(1_000)
    index = index_of((CONTENT, "linux/amd64"))
    rig.registry.put(index, "team/app:1")
    rig.registry.replace_body(index.digest, b'{"manifests": 1}')
    await rig.scan.request(rig.step())
    pointer = await rig.ledger.pointer(rig.reference)
    assert pointer is not None
    assert (pointer.digest, pointer.error, pointer.previous) == (
        None,
        ErrorKind.UNTRUSTED,
        CONTENT.digest,
    )


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


async def test_a_pointer_is_ordered_by_the_time_the_registry_was_asked(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    pointer = await rig.ledger.pointer(rig.reference)
    assert pointer is not None
    older = Pointer(pointer.reference, pointer.asked_at - 1, "sha256:" + "f" * 64)
    await rig.ledger.write_pointer(older)
    assert await rig.ledger.pointer(rig.reference) == pointer


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


async def test_requirement_analysis_asks_for_no_policy(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    rig.anchore.store.decide(CONTENT.digest, "stop")
    question = Question(requirement="analysis")
    await rig.scan.request(msgspec.structs.replace(rig.step(), question=question))
    verdict = await rig.ledger.verdict(rig.subject, question)
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS
    assert not rig.anchore.store.calls["image_check"]


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


async def test_no_message_makes_a_verdict_under_a_tag_that_nobody_saw_name_the_digest(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    lie = Subject(rig.reference.repository, CONTENT.digest, "exempt")
    forged = msgspec.structs.replace(rig.next_check(), subject=lie, chain="forged")
    await rig.scan.check(forged)
    assert await rig.ledger.verdict(lie, QUESTION) is None
    (request, delay) = rig.followed[-1]
    assert (request.kind, request.lane, request.subject) == (StepKind.REQUEST, Lane.ADMISSION, None)
    assert delay == 0
    await rig.scan.request(request)
    await rig.scan.check(rig.followed[0][0])
    assert await rig.verdict() is not None
    assert await rig.ledger.verdict(lie, QUESTION) is None


@pytest.mark.parametrize("tag", ["", "a b", "1@sha256:" + "a" * 64])
async def test_a_message_with_a_tag_that_is_none_makes_no_verdict(rig: Rig, tag: str) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    lie = Subject(rig.reference.repository, CONTENT.digest, tag)
    forged = msgspec.structs.replace(rig.next_check(), subject=lie, chain="forged")
    with contextlib.suppress(InvalidReference):
        await rig.scan.check(forged)
    assert await rig.ledger.verdict(lie, QUESTION) is None


@pytest.mark.parametrize("moves", [1, 2])
async def test_a_check_whose_tag_moved_meanwhile_goes_on_as_long_as_that_is_remembered(
    rig: Rig, moves: int
) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    check = rig.next_check()
    for number in range(moves):
        rig.registry.put(tiny_image(config={"User": str(number)}), "team/app:1")
        rig.clock.advance(1000)
        await rig.scan.resolve(rig.step())
    await rig.scan.check(check)
    assert (await rig.verdict() is not None) == (moves == 1)
    assert (rig.next_check().kind is StepKind.REQUEST) == (moves == 2)


async def test_a_check_of_an_index_s_manifest_is_known_by_its_tag(rig: Rig) -> None:
    reference = rig.registry.put(index_of((CONTENT, "linux/amd64")), "team/many:1")
    await rig.scan.request(rig.step(reference=reference))
    rig.anchore.store.finish(CONTENT.digest)
    check = rig.next_check()
    assert check.subject == Subject(reference.repository, CONTENT.digest, "1")
    await rig.scan.check(check)
    assert await rig.ledger.verdict(check.subject, QUESTION) is not None
