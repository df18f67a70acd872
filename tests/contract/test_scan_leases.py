import asyncio
from typing import Any

import msgspec

from shared.domain.step import Lane
from shared.ports.claims import MAX_OF_A_TENANT, Claim, Held, Hold, Holder
from tests.contract.stores import A_WHILE, MINUTE, World, sealed, step

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
    tenant: str = "",
    claim: str = "",
) -> Hold:
    held = await _held(
        world,
        chain,
        hop,
        key=key,
        life=life,
        lane=lane,
        first_seen=first_seen,
        tenant=tenant,
        claim=claim,
    )
    return held.outcome


async def _held(world: World, chain: str, hop: int = 0, *, key: str = KEY, **more: Any) -> Held:
    wanted: dict[str, Any] = {"life": MINUTE, "lane": Lane.CHECK, "first_seen": 1} | more
    return await world.leases.hold(key, chain=chain, hop=hop, **wanted)


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
    await _hold(world, "chain", 0, life=300)
    await _hold(world, "chain", 1)
    await world.passes(300)
    assert await _hold(world, "another") is Hold.FOREIGN


async def test_one_that_may_not_hold_renews_nothing(world: World) -> None:
    await _hold(world, "chain", 1, life=A_WHILE)
    assert await _hold(world, "another", 1) is Hold.FOREIGN
    assert await _hold(world, "chain", 0) is Hold.BEHIND
    await world.passes(A_WHILE)
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


PREWARM = Lane.CHECK_PREWARM
TEAM = "team-a"


async def test_a_hold_tells_whether_there_was_a_record(world: World) -> None:
    assert await _held(world, "chain") == Held(Hold.HELD, "chain", Lane.CHECK, adopted=True)
    assert await _held(world, "chain", 1) == Held(Hold.HELD, "chain", Lane.CHECK)
    assert await _held(world, "chain", 0) == Held(Hold.BEHIND, "chain", Lane.CHECK)
    assert await _held(world, "another") == Held(Hold.FOREIGN, "chain", Lane.CHECK)


async def test_a_chain_of_prewarm_s_that_people_meet_is_theirs_from_its_next_hold_on(
    world: World,
) -> None:
    await _held(world, "push", 3, lane=PREWARM, first_seen=1)
    assert await _held(world, "review", first_seen=5) == Held(Hold.FOREIGN, "push", Lane.CHECK)
    assert await _held(world, "push", 4, lane=PREWARM) == Held(Hold.HELD, "push", Lane.CHECK)
    assert await _held(world, "push", 5, lane=PREWARM) == Held(Hold.HELD, "push", Lane.CHECK)
    assert await world.leases.oldest() == {Lane.CHECK: 5}


async def test_prewarm_promotes_nothing_and_takes_nothing_from_people(world: World) -> None:
    await _held(world, "push", lane=PREWARM)
    assert await _held(world, "another", lane=PREWARM) == Held(Hold.FOREIGN, "push", PREWARM)
    await _held(world, "review", key="scan:2")
    foreign = await _held(world, "push", key="scan:2", lane=PREWARM)
    assert foreign == Held(Hold.FOREIGN, "review", Lane.CHECK)


async def test_a_promoted_record_lives_no_longer_for_it(world: World) -> None:
    await _hold(world, "push", lane=PREWARM, life=A_WHILE)
    assert await _hold(world, "review") is Hold.FOREIGN
    await world.passes(A_WHILE)
    assert await world.leases.holder(KEY) is None
    assert await world.leases.oldest() == {}


async def test_a_renewed_record_lives_on_and_keeps_its_hop(world: World) -> None:
    await _hold(world, "chain", 3, life=A_WHILE)
    assert await world.leases.renew(KEY, chain="chain", life=MINUTE)
    await world.passes(A_WHILE)
    assert await _hold(world, "another") is Hold.FOREIGN
    assert await _hold(world, "chain", 2) is Hold.BEHIND
    assert await world.leases.oldest() == {Lane.CHECK: 1}


async def test_what_is_another_s_or_over_is_not_renewed(world: World) -> None:
    assert not await world.leases.renew(KEY, chain="chain", life=MINUTE)
    await _hold(world, "another", life=300)
    assert not await world.leases.renew(KEY, chain="chain", life=MINUTE)
    await world.passes(300)
    assert await world.leases.holder(KEY) is None


async def test_the_holder_of_a_scan_is_told(world: World) -> None:
    assert await world.leases.holder(KEY) is None
    await _hold(world, "chain", lane=PREWARM, first_seen=7)
    assert await world.leases.holder(KEY) == Holder("chain", PREWARM, 7)
    await world.leases.release(KEY, chain="chain")
    assert await world.leases.holder(KEY) is None


async def _place(world: World, name: str, *, most: int = 2, life: int = MINUTE) -> bool:
    await _hold(world, name, key=name, lane=PREWARM, life=life)
    return await world.leases.place(name, chain=name, most=most)


async def test_of_many_chains_at_once_as_many_as_there_are_places_get_one(world: World) -> None:
    answers = await asyncio.gather(*(_place(world, f"scan:{n}", most=5) for n in range(30)))
    assert answers.count(True) == 5
    assert not await world.leases.room(most=5)
    assert await world.leases.room(most=6)


async def test_a_chain_that_has_a_place_keeps_it_and_takes_no_second(world: World) -> None:
    assert await _place(world, "a")
    assert await _place(world, "a")
    assert await _place(world, "b")
    assert not await _place(world, "c")
    assert await _place(world, "a")


async def test_a_place_is_taken_only_with_the_record(world: World) -> None:
    assert not await world.leases.place(KEY, chain="chain", most=2)
    await _hold(world, "another", lane=PREWARM)
    assert not await world.leases.place(KEY, chain="chain", most=2)
    assert await world.leases.room(most=1)


async def test_people_need_no_place(world: World) -> None:
    await _hold(world, "chain")
    assert await world.leases.place(KEY, chain="chain", most=0)
    assert await world.leases.room(most=1)


async def test_a_place_is_free_again_with_the_end_of_its_scan(world: World) -> None:
    assert await _place(world, "a", most=1)
    await world.leases.release("a", chain="another")
    assert not await _place(world, "b", most=1)
    await world.leases.release("a", chain="a")
    assert await _place(world, "b", most=1)
    await world.store.put(
        sealed(world.now()), key="v", ends=world.now() + MINUTE, scan="b", chain="b"
    )
    assert await _place(world, "c", most=1, life=A_WHILE)
    await world.passes(A_WHILE)
    assert await _place(world, "d", most=1)


async def test_a_place_lasts_as_long_as_its_record_is_renewed(world: World) -> None:
    assert await _place(world, "a", life=A_WHILE)
    await world.leases.renew("a", chain="a", life=MINUTE)
    assert await _place(world, "b", life=A_WHILE)
    await _hold(world, "b", 1, key="b", lane=PREWARM, life=MINUTE)
    await world.passes(A_WHILE)
    assert not await _place(world, "c")


async def test_the_place_of_a_promoted_chain_is_free_and_it_needs_none(world: World) -> None:
    assert await _place(world, "a", most=1)
    await _hold(world, "review", key="a")
    assert await _place(world, "b", most=1)
    assert await world.leases.place("a", chain="a", most=0)
    await _hold(world, "a", 1, key="a", lane=PREWARM)
    assert not await world.leases.room(most=1)


async def _wants(world: World, name: str, *, tenant: str = TEAM, life: int = MINUTE) -> Claim:
    wanted = msgspec.structs.replace(step(name), claim=name, tenant=tenant)
    return await world.claims.claim(name, wanted, life=life)


async def _fill(world: World, number: int = MAX_OF_A_TENANT) -> None:
    for n in range(number):
        assert await _wants(world, f"image {n}") is Claim.TAKEN


async def test_a_scan_counts_for_its_tenant_in_place_of_its_request(world: World) -> None:
    await _fill(world)
    await world.claims.begin("image 0")
    assert await _wants(world, "one more") is Claim.OVER
    await _hold(world, "chain", key="scan:0", tenant=TEAM, claim="image 0")
    assert await _wants(world, "one more") is Claim.OVER
    await world.leases.release("scan:0", chain="chain")
    assert await _wants(world, "one more") is Claim.TAKEN
    assert await _wants(world, "another") is Claim.OVER


async def test_a_request_that_finds_its_scan_under_way_counts_no_longer(world: World) -> None:
    await _hold(world, "chain", key="scan:0")
    await _fill(world)
    assert await _hold(world, "late", key="scan:0", tenant=TEAM, claim="image 0") is Hold.FOREIGN
    assert await _wants(world, "one more") is Claim.TAKEN


async def test_a_scan_counts_until_it_is_put_or_its_record_is_over(world: World) -> None:
    await _fill(world, MAX_OF_A_TENANT - 2)
    await _hold(world, "put", key="scan:put", tenant=TEAM)
    await _hold(world, "lost", key="scan:lost", tenant=TEAM, life=A_WHILE)
    assert await _wants(world, "over") is Claim.OVER
    await world.store.put(
        sealed(world.now()), key="v", ends=world.now() + MINUTE, scan="scan:put", chain="put"
    )
    assert await _wants(world, "one more") is Claim.TAKEN
    assert await _wants(world, "over") is Claim.OVER
    await world.passes(A_WHILE)
    assert await _wants(world, "last") is Claim.TAKEN


async def test_a_scan_goes_on_counting_while_its_chain_does(world: World) -> None:
    await _fill(world, MAX_OF_A_TENANT - 2)
    await _hold(world, "renewed", key="scan:renewed", tenant=TEAM, life=A_WHILE)
    await world.leases.renew("scan:renewed", chain="renewed", life=MINUTE)
    await _hold(world, "held", 0, key="scan:held", tenant=TEAM, life=A_WHILE)
    await _hold(world, "held", 1, key="scan:held", tenant=TEAM, life=MINUTE)
    await world.passes(A_WHILE)
    assert await _wants(world, "over") is Claim.OVER


async def test_a_promoted_scan_counts_for_who_wanted_it(world: World) -> None:
    await _hold(world, "push", key="scan", lane=PREWARM)
    await _fill(world)
    await _hold(world, "review", key="scan", tenant=TEAM, claim="image 0")
    assert await _wants(world, "over") is Claim.OVER
    await _hold(world, "push", 1, key="scan", lane=PREWARM)
    assert await _wants(world, "over") is Claim.OVER
    await world.leases.release("scan", chain="push")
    assert await _wants(world, "one more") is Claim.TAKEN
