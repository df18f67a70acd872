import asyncio

from shared.domain.step import Lane
from shared.ports.claims import Claim
from tests.contract.stores import MINUTE, REMEMBERED, World, step

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
    await _claim_in(world, "review", Lane.ADMISSION, life=1_000)
    await world.passes(300)
    assert await _claim_in(world, "another", Lane.ADMISSION) is Claim.HELD


async def test_a_claim_ends_by_itself(world: World) -> None:
    await _claim(world, life=500)
    assert await _claim(world, life=500) is Claim.HELD
    await world.passes(500)
    assert await _claim(world, life=500) is Claim.TAKEN


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


async def test_a_step_is_remembered_after_its_claim_ended(world: World) -> None:
    await _claim(world, "a", life=200)
    await world.passes(250)
    assert await world.claims.overdue(age=200, limit=10) == [step("a")]


async def test_a_step_is_not_overdue_before_its_age(world: World) -> None:
    await _claim(world, "a")
    assert await world.claims.overdue(age=MINUTE, limit=10) == []


async def test_a_step_is_named_overdue_once_in_its_age(world: World) -> None:
    await _claim(world, "a")
    await world.passes(300)
    assert await world.claims.overdue(age=300, limit=10) == [step("a")]
    assert await world.claims.overdue(age=300, limit=10) == []
    await world.passes(300)
    assert await world.claims.overdue(age=300, limit=10) == [step("a")]


async def test_two_reconcilers_at_once_never_name_the_same_step(world: World) -> None:
    names = [f"s{n}" for n in range(REMEMBERED)]
    for name in names:
        await _claim(world, name, key=name)
    await world.passes(50)
    named = await asyncio.gather(*(world.claims.overdue(age=40, limit=4) for _ in range(8)))
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
    await world.passes(600)
    await _claim(world, "b")
    assert await world.claims.overdue(age=500, limit=10) == []
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
