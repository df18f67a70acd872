"""What fails for long has one chain that tries it again, however often it is asked for."""

from collections.abc import Callable

import msgspec
import pytest

from shared.domain.errors import TransientFailure
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.step import Step, anew, failed
from shared.domain.verdict import Outcome
from tests.fakes.registry import answer
from tests.unit.worker.rig import CONTENT, Rig, rigged


async def _fails(rig: Rig, step: Step) -> Step:
    """Its next attempt, a moment later."""
    rig.clock.advance(SECOND)
    with pytest.raises(TransientFailure):
        await rig.scan.request(step)
    return failed(step, "it failed")


def _busy_anchore(rig: Rig) -> None:
    rig.anchore.store.fault("*", "429", value="60")


def _busy_registry(rig: Rig) -> None:
    rig.registry.fault("manifests", answer(429, "TOOMANYREQUESTS"))


@pytest.mark.parametrize("busy", [_busy_anchore, _busy_registry])
async def test_of_two_that_failed_the_one_that_failed_last_tries_again(
    busy: Callable[[Rig], None],
) -> None:
    async with rigged() as rig:
        busy(rig)
        first = await _fails(rig, rig.step())
        rig.clock.advance(MINUTE // 2)
        second = await _fails(rig, rig.step())
        asked = rig.anchore.store.calls.total()
        await rig.scan.request(first)
        assert rig.anchore.store.calls.total() == asked
        assert not await rig.held()
        assert rig.followed == []
        third = await _fails(rig, second)
        await _fails(rig, third)


async def test_who_ends_for_another_counts_for_its_namespace_no_longer() -> None:
    async with rigged() as rig:
        _busy_registry(rig)
        first = await _fails(rig, rig.step(tenant="team"))
        await _fails(rig, rig.step())
        rig.leases.counted.count("team", first.claim, ends=rig.clock.now() + MINUTE)
        await rig.scan.request(first)
        assert rig.leases.counted.number("team", but="") == 0


async def test_what_another_failed_with_long_ago_keeps_nobody_from_trying() -> None:
    async with rigged() as rig:
        _busy_anchore(rig)
        first = await _fails(rig, rig.step())
        await _fails(rig, rig.step())
        rig.anchore.store.heal()
        rig.clock.advance(MINUTE)
        await rig.scan.request(first)
        assert rig.anchore.store.submits[CONTENT.digest] == 1


async def test_a_first_attempt_and_an_operator_s_try_always() -> None:
    async with rigged() as rig:
        _busy_anchore(rig)
        first = await _fails(rig, rig.step())
        await _fails(rig, rig.step())
        rig.anchore.store.heal()
        rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
        await rig.scan.request(anew(first, step_id="requeued", now=rig.clock.now()))
        verdict = await rig.verdict()
        assert verdict is not None
        assert verdict.outcome is Outcome.PASS


async def test_a_check_ends_as_well_where_another_chain_failed_last() -> None:
    async with rigged() as rig:
        await rig.scan.request(rig.step())
        check = rig.next_check()
        _busy_anchore(rig)
        with pytest.raises(TransientFailure):
            await rig.scan.check(check)
        await _fails(rig, rig.step())
        many, asked = len(rig.followed), rig.anchore.store.calls.total()
        await rig.scan.check(msgspec.structs.replace(failed(check, "it failed"), id="again"))
        assert (len(rig.followed), rig.anchore.store.calls.total()) == (many, asked)
        assert not await rig.held()
