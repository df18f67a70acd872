import asyncio

import msgspec

from shared.domain.step import Lane, Step
from shared.ports.claims import MAX_OF_A_TENANT, Claim
from tests.contract.stores import A_WHILE, MINUTE, REMEMBERED, World, step

KEY = "claim:registry.test/app:1|team|||"
SCAN = "scan:registry.test/app@sha256:1#1|team|||"


async def _claim(world: World, name: str = "a", *, key: str = KEY, life: int = MINUTE) -> Claim:
    return await world.claims.claim(key, step(name), life=life)


async def test_of_a_hundred_claims_at_once_exactly_one_is_taken(world: World) -> None:
    answers = await asyncio.gather(*(_claim(world) for _ in range(100)))
    assert answers.count(Claim.TAKEN) == 1
    assert answers.count(Claim.HELD) == 99


async def test_claims_of_different_keys_do_not_touch_each_other(world: World) -> None:
    assert await _claim(world, "a", key="one") is Claim.TAKEN
    assert await _claim(world, "a", key="two") is Claim.TAKEN


async def _claim_in(world: World, name: str, lane: Lane, *, life: int = MINUTE) -> Claim:
    return await world.claims.claim(KEY, step(name, lane=lane), life=life)


async def test_people_do_not_wait_for_a_claim_of_prewarm_s(world: World) -> None:
    assert await _claim_in(world, "push", Lane.PREWARM) is Claim.TAKEN
    answers = await asyncio.gather(
        *(_claim_in(world, f"review {n}", Lane.ADMISSION) for n in range(50))
    )
    assert answers.count(Claim.TAKEN) == 1
    assert answers.count(Claim.HELD) == 49
    taken = step(f"review {answers.index(Claim.TAKEN)}")
    assert await world.claims.overdue(age=0, limit=10) == [taken]


async def test_prewarm_takes_no_claim_from_anybody(world: World) -> None:
    for first in (Lane.PREWARM, Lane.ADMISSION):
        assert await _claim_in(world, "first", first) is Claim.TAKEN
        assert await _claim_in(world, "push", Lane.PREWARM) is Claim.HELD


async def test_a_claim_that_was_taken_over_has_its_new_life(world: World) -> None:
    await _claim_in(world, "push", Lane.PREWARM, life=200)
    await _claim_in(world, "review", Lane.ADMISSION)
    await world.passes(300)
    assert await _claim_in(world, "another", Lane.ADMISSION) is Claim.HELD


async def test_a_request_that_comes_again_is_the_only_one_of_prewarm_s(world: World) -> None:
    assert await world.claims.keep(KEY, owner="push", life=MINUTE)
    assert not await world.claims.keep(KEY, owner="another", life=MINUTE)
    assert await world.claims.keep(KEY, owner="push", life=MINUTE)
    assert await _claim_in(world, "another", Lane.PREWARM) is Claim.HELD
    assert await world.claims.overdue(age=0, limit=10) == []


async def test_people_take_over_what_a_request_that_comes_again_keeps(world: World) -> None:
    await world.claims.keep(KEY, owner="push", life=MINUTE)
    assert await _claim_in(world, "review", Lane.ADMISSION) is Claim.TAKEN
    assert not await world.claims.keep(KEY, owner="push", life=MINUTE)
    assert not await world.claims.keep(KEY, owner="push", life=0)
    assert await _claim_in(world, "another", Lane.ADMISSION) is Claim.HELD


async def test_what_is_kept_no_longer_is_free(world: World) -> None:
    await world.claims.keep(KEY, owner="push", life=MINUTE)
    assert not await world.claims.keep(KEY, owner="another", life=0)
    assert await world.claims.keep(KEY, owner="push", life=0)
    assert await _claim_in(world, "another", Lane.PREWARM) is Claim.TAKEN
    await world.claims.begin(KEY)
    await world.claims.keep(KEY, owner="push", life=300)
    await world.passes(350)
    assert await _claim_in(world, "another", Lane.PREWARM) is Claim.TAKEN


async def test_a_claim_ends_by_itself(world: World) -> None:
    assert await _claim(world, key="longer") is Claim.TAKEN
    assert await _claim(world, life=300) is Claim.TAKEN
    await world.passes(300)
    assert await _claim(world) is Claim.TAKEN
    assert await _claim(world, key="longer") is Claim.HELD


async def test_a_dropped_claim_is_free_and_its_step_still_remembered(world: World) -> None:
    await _claim(world, "a")
    await world.claims.drop(KEY)
    assert await world.claims.overdue(age=0, limit=10) == [step("a")]
    assert await _claim(world, "b") is Claim.TAKEN


async def test_a_begun_request_is_forgotten_claim_and_step(world: World) -> None:
    await _claim(world)
    await world.claims.begin(KEY)
    assert await world.claims.overdue(age=0, limit=10) == []
    assert await world.claims.oldest() == {}
    assert await _claim(world) is Claim.TAKEN


async def test_dropping_or_beginning_what_nobody_claimed_does_nothing(world: World) -> None:
    await world.claims.drop(KEY)
    await world.claims.begin(KEY)
    assert await _claim(world) is Claim.TAKEN


async def test_with_a_scan_in_sight_nothing_is_claimed_and_nothing_remembered(
    world: World,
) -> None:
    await world.leases.hold(SCAN, chain="chain", hop=0, life=MINUTE, lane=Lane.CHECK, first_seen=1)
    answer = await world.claims.claim(KEY, step("a"), life=MINUTE, scans=["scan:none", SCAN])
    assert answer is Claim.SCANNING
    assert await world.claims.overdue(age=0, limit=10) == []
    assert await world.claims.claim(KEY, step("a"), life=MINUTE, scans=["scan:none"]) is Claim.TAKEN


async def test_it_is_told_since_when_a_scan_is_wanted(world: World) -> None:
    first, second = 1_700_000_000_123, 1_700_000_000_456
    for scan, seen in ((SCAN, second), ("scan:other", first)):
        await world.leases.hold(
            scan, chain="chain", hop=0, life=MINUTE, lane=Lane.CHECK, first_seen=seen
        )
    assert await world.claims.begun([SCAN, "scan:none"]) == second
    assert await world.claims.begun([SCAN, "scan:other"]) == first
    assert await world.claims.begun(["scan:none"]) is None


async def test_a_step_is_remembered_after_its_claim_ended(world: World) -> None:
    await _claim(world, "a", life=200)
    await world.passes(250)
    assert await world.claims.overdue(age=200, limit=10) == [step("a")]


async def test_a_step_is_not_overdue_before_its_age(world: World) -> None:
    await _claim(world, "a")
    assert await world.claims.overdue(age=MINUTE, limit=10) == []


async def test_a_step_is_named_overdue_once_in_its_age(world: World) -> None:
    await _claim(world, "a")
    await world.passes(A_WHILE)
    assert await world.claims.overdue(age=A_WHILE, limit=10) == [step("a")]
    assert await world.claims.overdue(age=A_WHILE, limit=10) == []
    await world.passes(A_WHILE)
    assert await world.claims.overdue(age=A_WHILE, limit=10) == [step("a")]


async def test_two_reconcilers_at_once_never_name_the_same_step(world: World) -> None:
    names = [f"s{n}" for n in range(REMEMBERED)]
    for name in names:
        await _claim(world, name, key=name)
    # Who is named is named again after that age, which a busy machine may need for the questions.
    await world.passes(A_WHILE)
    named = await asyncio.gather(*(world.claims.overdue(age=A_WHILE, limit=4) for _ in range(8)))
    assert sorted(one.id for some in named for one in some) == sorted(names)


async def test_the_steps_that_wait_longest_are_named_first_and_no_more_than_asked_for(
    world: World,
) -> None:
    for name in ("a", "b", "c"):
        await _claim(world, name, key=name)
        await world.passes(5)
    assert await world.claims.overdue(age=0, limit=2) == [step("a"), step("b")]
    assert await world.claims.overdue(age=0, limit=1) == [step("c")]


async def test_claimed_again_a_step_is_remembered_once_and_its_age_begins_anew(
    world: World,
) -> None:
    await _claim(world, "a", life=200)
    await world.passes(A_WHILE)
    await _claim(world, "b")
    assert await world.claims.overdue(age=A_WHILE, limit=10) == []
    assert await world.claims.overdue(age=0, limit=10) == [step("b")]


async def test_only_the_oldest_steps_are_remembered(world: World) -> None:
    for n in range(REMEMBERED + 5):
        assert await _claim(world, f"s{n}", key=f"s{n}") is Claim.TAKEN
    named = await world.claims.overdue(age=0, limit=100)
    assert {one.id for one in named} == {f"s{n}" for n in range(REMEMBERED)}


async def test_the_oldest_step_is_told_by_lane(world: World) -> None:
    claims = world.claims
    assert await claims.oldest() == {}
    await claims.claim("a", step("a", first_seen=30), life=MINUTE)
    await claims.claim("b", step("b", first_seen=20), life=MINUTE)
    await claims.claim("c", step("c", first_seen=40, lane=Lane.PREWARM), life=MINUTE)
    assert await claims.oldest() == {Lane.ADMISSION: 20, Lane.PREWARM: 40}
    await claims.begin("b")
    assert await claims.oldest() == {Lane.ADMISSION: 30, Lane.PREWARM: 40}


async def test_what_is_claimed_again_keeps_the_time_it_was_first_seen(world: World) -> None:
    now = world.now()
    await world.claims.claim(KEY, step("a", first_seen=now), life=MINUTE)
    await world.claims.drop(KEY)
    await world.claims.claim(KEY, step("b", first_seen=now + 1_234), life=MINUTE)
    assert await world.claims.oldest() == {Lane.ADMISSION: now}


async def test_what_is_claimed_again_in_another_lane_counts_there_alone(world: World) -> None:
    await world.claims.claim(KEY, step("a", first_seen=1, lane=Lane.PREWARM), life=MINUTE)
    await world.claims.drop(KEY)
    await world.claims.claim(KEY, step("b", first_seen=2), life=MINUTE)
    assert await world.claims.oldest() == {Lane.ADMISSION: 2}


def _of(tenant: str, name: str, *, lane: Lane = Lane.ADMISSION) -> Step:
    return msgspec.structs.replace(step(name, lane=lane), claim=name, tenant=tenant)


async def _claim_of(world: World, tenant: str, name: str, *, life: int = MINUTE) -> Claim:
    return await world.claims.claim(name, _of(tenant, name), life=life)


async def _fill(world: World, number: int = MAX_OF_A_TENANT) -> None:
    for n in range(number):
        assert await _claim_of(world, "team-a", f"a{n}") is Claim.TAKEN


async def test_what_a_tenant_wants_above_its_budget_is_neither_claimed_nor_remembered(
    world: World,
) -> None:
    for n in range(MAX_OF_A_TENANT):
        assert await _claim_of(world, "team-a", f"a{n}") is Claim.TAKEN
        await world.claims.begin(f"a{n}")
    assert await _claim_of(world, "team-a", "more") is Claim.OVER
    assert await world.claims.overdue(age=0, limit=10) == []
    assert await _claim_of(world, "team-b", "more") is Claim.TAKEN


async def test_many_claims_at_once_of_one_tenant_keep_its_budget(world: World) -> None:
    answers = await asyncio.gather(
        *(_claim_of(world, "team-a", f"a{n}") for n in range(3 * MAX_OF_A_TENANT))
    )
    assert answers.count(Claim.TAKEN) == MAX_OF_A_TENANT


async def test_who_has_no_tenant_has_no_budget(world: World) -> None:
    await _fill(world)
    for n in range(2 * MAX_OF_A_TENANT):
        assert await _claim(world, f"b{n}", key=f"b{n}") is Claim.TAKEN


async def test_a_claim_that_is_held_or_a_scan_in_sight_is_not_over(world: World) -> None:
    await _fill(world)
    await world.leases.hold(SCAN, chain="chain", hop=0, life=MINUTE, lane=Lane.CHECK, first_seen=1)
    assert await _claim_of(world, "team-b", "b") is Claim.TAKEN
    assert await _claim_of(world, "team-a", "b") is Claim.HELD
    answer = await world.claims.claim("c", _of("team-a", "c"), life=MINUTE, scans=[SCAN])
    assert answer is Claim.SCANNING


async def test_what_was_claimed_counts_to_its_claim_s_end_at_most(world: World) -> None:
    await _fill(world, MAX_OF_A_TENANT - 1)
    assert await _claim_of(world, "team-a", "last", life=A_WHILE) is Claim.TAKEN
    assert await _claim_of(world, "team-a", "more") is Claim.OVER
    await world.passes(A_WHILE)
    assert await _claim_of(world, "team-a", "more") is Claim.TAKEN
    assert await _claim_of(world, "team-a", "again") is Claim.OVER


async def test_the_same_image_counts_once_however_often_it_is_claimed(world: World) -> None:
    for _ in range(MAX_OF_A_TENANT + 5):
        assert await _claim_of(world, "team-a", "same") is Claim.TAKEN
        await world.claims.drop("same")
    assert await _claim_of(world, "team-a", "another") is Claim.TAKEN


async def test_a_request_that_ended_without_a_scan_is_free(world: World) -> None:
    await _fill(world)
    await world.claims.begin("a0")
    assert await _claim_of(world, "team-a", "more") is Claim.OVER
    await world.claims.free(_of("team-a", "a0"))
    await world.claims.free(_of("", "a1"))
    assert await _claim_of(world, "team-a", "more") is Claim.TAKEN
    assert await _claim_of(world, "team-a", "again") is Claim.OVER


async def test_a_claim_that_people_take_over_from_prewarm_counts_for_their_tenant(
    world: World,
) -> None:
    for n in range(MAX_OF_A_TENANT):
        await _claim(world, f"a{n}", key=f"a{n}")
        await world.claims.drop(f"a{n}")
        push = step(f"a{n}", lane=Lane.PREWARM)
        assert await world.claims.claim(f"a{n}", push, life=MINUTE) is Claim.TAKEN
        assert await _claim_of(world, "team-a", f"a{n}") is Claim.TAKEN
    assert await _claim_of(world, "team-a", "more") is Claim.OVER


async def test_people_ask_although_prewarm_scans_and_nobody_else_does(world: World) -> None:
    await world.leases.hold(
        SCAN, chain="push", hop=0, life=MINUTE, lane=Lane.CHECK_PREWARM, first_seen=1
    )
    push = step("push", lane=Lane.PREWARM)
    assert await world.claims.claim("a", push, life=MINUTE, scans=[SCAN]) is Claim.SCANNING
    assert await world.claims.claim("a", step("a"), life=MINUTE, scans=[SCAN]) is Claim.TAKEN
    await world.leases.hold(SCAN, chain="a", hop=0, life=MINUTE, lane=Lane.CHECK, first_seen=1)
    assert await world.claims.claim("b", step("b"), life=MINUTE, scans=[SCAN]) is Claim.SCANNING
