import asyncio

from tests.contract.stores import A_WHILE, MINUTE, World


async def _leads(world: World, owner: str, *, name: str = "care", life: int = MINUTE) -> bool:
    return await world.leadership.lead(name, owner, life=life)


async def test_whoever_asks_first_leads(world: World) -> None:
    assert await _leads(world, "a")
    assert not await _leads(world, "b")


async def test_of_many_at_once_exactly_one_leads(world: World) -> None:
    answers = await asyncio.gather(*(_leads(world, f"worker {n}") for n in range(50)))
    assert answers.count(True) == 1


async def test_who_leads_may_renew_its_lease(world: World) -> None:
    assert await _leads(world, "a", life=300)
    assert await _leads(world, "a")
    await world.passes(300)
    assert not await _leads(world, "b")
    assert await _leads(world, "a")


async def test_a_lease_that_is_not_renewed_ends_and_then_another_leads(world: World) -> None:
    assert await _leads(world, "a", life=300)
    await world.passes(300)
    assert await _leads(world, "b")
    assert not await _leads(world, "a")


async def test_who_asks_in_vain_renews_nothing(world: World) -> None:
    assert await _leads(world, "a", life=A_WHILE)
    assert not await _leads(world, "b", life=MINUTE)
    await world.passes(A_WHILE)
    assert await _leads(world, "c")


async def test_who_leaves_need_not_be_waited_for(world: World) -> None:
    assert await _leads(world, "a")
    await world.leadership.leave("care", "a")
    assert await _leads(world, "b")


async def test_nobody_ends_the_lease_of_another(world: World) -> None:
    assert await _leads(world, "a")
    await world.leadership.leave("care", "b")
    assert not await _leads(world, "b")


async def test_leaving_what_nobody_leads_does_nothing(world: World) -> None:
    await world.leadership.leave("care", "a")
    assert await _leads(world, "b")


async def test_another_name_is_another_lease(world: World) -> None:
    assert await _leads(world, "a")
    assert await _leads(world, "b", name="another")
    await world.leadership.leave("another", "b")
    assert not await _leads(world, "b")
