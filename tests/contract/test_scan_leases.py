import asyncio

from shared.domain.step import Lane
from shared.ports.claims import Claim, Hold
from tests.contract.stores import MINUTE, World, step

KEY = "scan:registry.test/app@sha256:1#1|team|||"


async def _hold(
    world: World,
    chain: str,
    hop: int = 0,
    *,
    key: str = KEY,
    life: int = MINUTE,
    lane: Lane = Lane.CHECK,
    first_seen: int = 1,
) -> Hold:
    return await world.leases.hold(
        key, chain=chain, hop=hop, life=life, lane=lane, first_seen=first_seen
    )


async def test_the_first_chain_holds_the_scan(world: World) -> None:
    assert await _hold(world, "chain") is Hold.HELD


async def test_of_many_chains_at_once_exactly_one_holds(world: World) -> None:
    answers = await asyncio.gather(*(_hold(world, f"chain {n}") for n in range(50)))
    assert answers.count(Hold.HELD) == 1
    assert answers.count(Hold.FOREIGN) == 49


async def test_a_chain_goes_on_with_the_next_hop(world: World) -> None:
    await _hold(world, "chain", 0)
    assert await _hold(world, "chain", 1) is Hold.HELD
    assert await _hold(world, "chain", 2) is Hold.HELD


async def test_the_same_hop_delivered_again_goes_on(world: World) -> None:
    await _hold(world, "chain", 3)
    assert await _hold(world, "chain", 3) is Hold.HELD


async def test_a_copy_of_a_hop_that_is_over_is_behind(world: World) -> None:
    await _hold(world, "chain", 10)
    assert await _hold(world, "chain", 9) is Hold.BEHIND
    assert await _hold(world, "chain", 10) is Hold.HELD


async def test_a_foreign_chain_ends_whatever_its_hop(world: World) -> None:
    await _hold(world, "chain", 1)
    assert await _hold(world, "another", 0) is Hold.FOREIGN
    assert await _hold(world, "another", 9) is Hold.FOREIGN
    assert await _hold(world, "chain", 1) is Hold.HELD


async def test_a_record_that_is_gone_is_adopted_at_any_hop(world: World) -> None:
    await _hold(world, "chain", 5, life=200)
    await world.passes(200)
    assert await _hold(world, "chain", 3) is Hold.HELD
    assert await _hold(world, "chain", 2) is Hold.BEHIND


async def test_a_chain_that_died_is_followed_by_another(world: World) -> None:
    await _hold(world, "chain", 5, life=200)
    await world.passes(200)
    assert await _hold(world, "another", 0) is Hold.HELD
    assert await _hold(world, "chain", 6) is Hold.FOREIGN


async def test_holding_again_renews_the_life(world: World) -> None:
    await _hold(world, "chain", 0, life=1_000)
    await world.passes(600)
    await _hold(world, "chain", 1, life=1_000)
    await world.passes(600)
    assert await _hold(world, "another") is Hold.FOREIGN


async def test_one_that_may_not_hold_renews_nothing(world: World) -> None:
    await _hold(world, "chain", 1, life=800)
    await world.passes(400)
    await _hold(world, "another", 1)
    await _hold(world, "chain", 0)
    await world.passes(400)
    assert await _hold(world, "another") is Hold.HELD


async def test_scans_of_different_keys_do_not_touch_each_other(world: World) -> None:
    await _hold(world, "chain", key="scan:1")
    assert await _hold(world, "another", key="scan:2") is Hold.HELD


async def test_a_released_scan_is_over(world: World) -> None:
    await _hold(world, "chain")
    await world.leases.release(KEY, chain="chain")
    assert await world.leases.oldest() == {}
    assert await world.claims.claim("c", step("a"), life=MINUTE, scans=[KEY]) is Claim.TAKEN


async def test_another_chain_cannot_release_it(world: World) -> None:
    await _hold(world, "chain")
    await world.leases.release(KEY, chain="another")
    assert await world.leases.oldest() == {Lane.CHECK: 1}
    assert await _hold(world, "another") is Hold.FOREIGN


async def test_releasing_what_is_over_does_nothing(world: World) -> None:
    await world.leases.release(KEY, chain="chain")
    assert await _hold(world, "chain") is Hold.HELD


async def test_the_oldest_scan_is_told_by_lane(world: World) -> None:
    now = world.now()
    assert await world.leases.oldest() == {}
    await _hold(world, "a", key="scan:a", first_seen=now - 10)
    await _hold(world, "b", key="scan:b", first_seen=now - 20)
    await _hold(world, "c", key="scan:c", first_seen=now - 5, lane=Lane.CHECK_PREWARM)
    assert await world.leases.oldest() == {Lane.CHECK: now - 20, Lane.CHECK_PREWARM: now - 5}


async def test_a_scan_whose_record_ended_is_not_told_as_the_oldest(world: World) -> None:
    await _hold(world, "a", key="scan:a", first_seen=10, life=200)
    await _hold(world, "b", key="scan:b", first_seen=20)
    await world.passes(200)
    assert await world.leases.oldest() == {Lane.CHECK: 20}


async def test_a_scan_that_changes_its_lane_counts_there_alone(world: World) -> None:
    await _hold(world, "a", 0, lane=Lane.CHECK_PREWARM)
    await _hold(world, "a", 1, lane=Lane.CHECK)
    assert await world.leases.oldest() == {Lane.CHECK: 1}
