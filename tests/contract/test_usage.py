import asyncio
from collections.abc import Sequence

from shared.domain.verdict import Question
from shared.ports.usage import MAX_USE, USED_FOR, Use, Used
from tests.contract.stores import A_WHILE, USES, World


def use(name: str, **question: str) -> Use:
    return Use(f"registry.test/team/{name}:1", Question(**question))


async def _names(world: World, *, limit: int = 1_000) -> list[str]:
    return [one.use.reference.split("/")[2][:-2] for one in await world.usage.recent(limit=limit)]


async def _in_pages(world: World, size: int) -> list[Used]:
    found: list[Used] = []
    while page := await world.usage.recent(limit=size, before=found[-1] if found else None):
        assert len(page) <= size
        found += page
    return found


async def _record(world: World, names: Sequence[str], *, at: int | None = None) -> None:
    await world.usage.record(dict.fromkeys(map(use, names), world.now() if at is None else at))


async def test_before_anything_was_used_nothing_is_in_use(world: World) -> None:
    assert await world.usage.recent(limit=10) == []
    assert await world.usage.count() == 0


async def test_a_use_is_read_back_whole(world: World) -> None:
    one = use("a", account="team", policy="strict|er", requirement="policy")
    at = world.now() - 10
    await world.usage.record({one: at})
    assert await world.usage.recent(limit=10) == [Used(one, at)]


async def test_recording_nothing_is_nothing(world: World) -> None:
    await world.usage.record({})
    assert await world.usage.count() == 0


async def test_an_image_under_another_question_is_another_use(world: World) -> None:
    now = world.now()
    await world.usage.record({use("a"): now, use("a", policy="strict"): now})
    assert await world.usage.count() == 2


async def test_the_most_recently_used_come_first_and_no_more_than_wanted(world: World) -> None:
    now = world.now()
    await world.usage.record({use("b"): now - 20, use("a"): now - 30, use("c"): now - 10})
    assert await _names(world) == ["c", "b", "a"]
    assert await _names(world, limit=2) == ["c", "b"]


async def test_a_use_recorded_twice_is_remembered_once_with_the_later_time(world: World) -> None:
    now = world.now()
    await world.usage.record({use("a"): now - 20, use("b"): now - 15})
    await world.usage.record({use("a"): now - 10, use("b"): now - 30})
    assert await world.usage.recent(limit=10) == [
        Used(use("a"), now - 10),
        Used(use("b"), now - 15),
    ]


async def test_a_time_ahead_of_the_clock_counts_as_now(world: World) -> None:
    await _record(world, ["a"], at=world.now() + 1_000_000_000)
    await world.passes(5)
    (used,) = await world.usage.recent(limit=10)
    assert used.at <= world.now()
    await _record(world, ["b"])
    assert await _names(world) == ["b", "a"]


async def test_what_was_not_used_for_its_time_is_forgotten(world: World) -> None:
    now = world.now()
    await world.usage.record({use("a"): now - USED_FOR + A_WHILE, use("b"): now, use("c"): now})
    await world.usage.record({use("d"): now - USED_FOR - 1})
    assert await _names(world) == ["c", "b", "a"]
    await world.passes(A_WHILE)
    assert await _names(world) == ["c", "b"]
    assert await world.usage.count() == 2


async def test_of_too_many_those_go_that_were_not_used_for_longest(world: World) -> None:
    now = world.now()
    names = [f"n{number:03}" for number in range(USES + 50)]
    times = {use(name): now - USES - 50 + number for number, name in enumerate(names)}
    await world.usage.record(times)
    assert await world.usage.count() == USES
    assert await _names(world) == names[: -USES - 1 : -1]


async def test_pages_follow_each_other_without_a_gap_also_where_times_are_the_same(
    world: World,
) -> None:
    now = world.now()
    await world.usage.record({use(f"n{number:03}"): now - number // 40 for number in range(130)})
    whole = await world.usage.recent(limit=1_000)
    assert len(whole) == 130
    for size in (1, 7, 40, 130, 500):
        assert await _in_pages(world, size) == whole


async def test_what_is_used_again_while_pages_are_read_hides_nothing_of_the_rest(
    world: World,
) -> None:
    now = world.now()
    await world.usage.record({use(name): now - 50 for name in "abcdef"})
    first = await world.usage.recent(limit=2)
    await world.usage.record({first[-1].use: now - 1})
    rest = await world.usage.recent(limit=10, before=first[-1])
    assert {one.use for one in [*first, *rest]} == {use(name) for name in "abcdef"}
    assert len(rest) == 4


async def test_a_use_that_is_far_too_long_is_not_remembered_and_the_others_are(
    world: World,
) -> None:
    await _record(world, ["a", "b" * MAX_USE, "c"])
    assert sorted(await _names(world)) == ["a", "c"]


async def test_uses_recorded_at_once_are_all_remembered(world: World) -> None:
    names = [f"n{number}" for number in range(100)]
    await asyncio.gather(*(_record(world, [name]) for name in names))
    assert sorted(await _names(world)) == sorted(names)
