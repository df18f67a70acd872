"""Scans that fail: what is written down, and what it leaves to whoever asks next."""

import msgspec
import pytest

from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.pointer import FRESH_ERROR
from shared.domain.reference import parse_reference
from shared.domain.verdict import MAX_AGE, Outcome, unresolved
from shared.domain.why import Why
from tests.fakes.registry import answer
from tests.unit.worker.rig import CONTENT, Rig, rigged


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
    rig.clock.advance(MAX_AGE - 1)
    error = await rig.error()
    assert error is not None
    assert error.evaluated_at == tried
    assert error.stale(rig.clock.now())
    rig.clock.advance(1)
    assert await rig.error() is None


async def test_it_is_kept_too_where_the_tag_has_moved_on_by_which_it_was_judged(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    without = await rig.move_tag_on()
    pinned = msgspec.structs.replace(rig.reference, digest=CONTENT.digest)
    rig.anchore.store.fault("*", "500")
    with pytest.raises(TransientFailure):
        await rig.scan.request(rig.step(reference=pinned, why=Why.OPERATOR))
    rig.clock.advance(MAX_AGE - 1)
    error = await rig.error(without)
    assert error is not None
    assert error.beside


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
