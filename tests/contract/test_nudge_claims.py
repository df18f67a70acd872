"""Which of several webhooks nudges an owner."""

import asyncio

from tests.contract.stores import A_WHILE, MINUTE, World

UID = "edb4837b-9034-4610-a974-439d7156cbd2"


async def test_of_many_that_claim_an_owner_at_once_exactly_one_has_it(world: World) -> None:
    claims = [world.nudges.claim(UID, life=MINUTE) for _ in range(50)]
    answers = await asyncio.gather(*claims)
    assert answers.count(None) == 1


async def test_whoever_comes_later_is_told_how_long_ago_it_was_taken(world: World) -> None:
    assert await world.nudges.claim(UID, life=MINUTE) is None
    await world.passes(250)
    age = await world.nudges.claim(UID, life=MINUTE)
    assert age is not None
    assert 250 <= age < MINUTE


async def test_whoever_comes_later_makes_it_last_no_longer(world: World) -> None:
    assert await world.nudges.claim(UID, life=A_WHILE) is None
    assert await world.nudges.claim(UID, life=MINUTE) is not None
    await world.passes(A_WHILE)
    assert await world.nudges.claim(UID, life=MINUTE) is None


async def test_what_was_dropped_may_be_claimed_at_once(world: World) -> None:
    assert await world.nudges.claim(UID, life=MINUTE) is None
    await world.nudges.drop(UID)
    assert await world.nudges.claim(UID, life=MINUTE) is None


async def test_dropping_what_nobody_took_does_nothing(world: World) -> None:
    await world.nudges.drop(UID)
    assert await world.nudges.claim(UID, life=MINUTE) is None


async def test_owners_do_not_stand_in_each_others_way(world: World) -> None:
    assert await world.nudges.claim(UID, life=MINUTE) is None
    assert await world.nudges.claim("another", life=MINUTE) is None
