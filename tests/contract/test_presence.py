import asyncio

import pytest

from shared.domain.step import Lane
from shared.ports.presence import Caring, PolicySeen
from tests.contract.stores import A_WHILE, GONE_AFTER, PRESENT, World, beat


async def _names(world: World) -> list[str]:
    return [one.beat.name for one in await world.presence.alive()]


async def test_what_a_process_says_of_itself_is_read_back_whole(world: World) -> None:
    said = beat(
        "worker@höst:1:ab",
        started=1_750_000_000_123,
        stopping=True,
        away=("store", "anchore"),
        delivered={Lane.CHECK: 7, Lane.CHECK_PREWARM: 2},
        in_hand={Lane.CHECK: 1},
        caring=Caring(1.5, surveyed_at=7, in_use=3, policies=(PolicySeen("", "p", "r", 1, 2),)),
    )
    await world.presence.beat(said)
    (alive,) = await world.presence.alive()
    assert alive.beat == said
    assert 0 <= alive.seen < GONE_AFTER


async def test_before_anybody_beat_nobody_is_alive(world: World) -> None:
    assert await world.presence.alive() == []


async def test_a_beat_replaces_the_one_before_it(world: World) -> None:
    await world.presence.beat(beat("a", away=("store",)))
    await world.presence.beat(beat("a"))
    assert [one.beat for one in await world.presence.alive()] == [beat("a")]


async def test_they_are_told_by_service_and_name(world: World) -> None:
    for one in (beat("b"), beat("z", service="console"), beat("a"), beat("c", service="webhook")):
        await world.presence.beat(one)
    assert await _names(world) == ["z", "c", "a", "b"]


async def test_who_falls_silent_is_gone_after_its_time(world: World) -> None:
    await world.presence.beat(beat("silent"))
    await world.passes(GONE_AFTER // 2)
    await world.presence.beat(beat("steady"))
    assert await _names(world) == ["silent", "steady"]
    await world.passes(GONE_AFTER // 2)
    assert await _names(world) == ["steady"]


async def test_how_long_a_process_has_been_silent_is_told(world: World) -> None:
    await world.presence.beat(beat("a"))
    await world.passes(A_WHILE)
    (alive,) = await world.presence.alive()
    assert A_WHILE <= alive.seen < GONE_AFTER
    await world.presence.beat(beat("a"))
    assert (await world.presence.alive())[0].seen < A_WHILE


async def test_who_was_gone_may_come_back(world: World) -> None:
    await world.presence.beat(beat("a"))
    await world.passes(GONE_AFTER)
    assert await _names(world) == []
    await world.presence.beat(beat("a"))
    assert await _names(world) == ["a"]


async def test_who_says_goodbye_is_gone_at_once(world: World) -> None:
    await world.presence.beat(beat("a"))
    await world.presence.beat(beat("b"))
    await world.presence.goodbye("a")
    assert await _names(world) == ["b"]


async def test_a_goodbye_of_somebody_unknown_does_nothing(world: World) -> None:
    await world.presence.beat(beat("a"))
    await world.presence.goodbye("nobody")
    assert await _names(world) == ["a"]


async def test_of_too_many_the_longest_silent_go(world: World) -> None:
    for n in range(PRESENT):
        await world.presence.beat(beat(f"p{n:02}"))
        await world.passes(2)
    await world.presence.beat(beat("p00"))
    await world.passes(2)
    for n in range(PRESENT, PRESENT + 3):
        await world.presence.beat(beat(f"p{n:02}"))
    assert await _names(world) == ["p00", *(f"p{n:02}" for n in range(4, PRESENT + 3))]


async def test_beats_at_once_are_all_heard(world: World) -> None:
    names = [f"p{n}" for n in range(PRESENT)]
    await asyncio.gather(*(world.presence.beat(beat(name)) for name in names))
    assert await _names(world) == sorted(names)


async def test_a_beat_that_is_far_too_large_is_a_programming_error(world: World) -> None:
    with pytest.raises(ValueError, match="bytes"):
        await world.presence.beat(beat("a", away=("store",) * 10_000))
    assert await _names(world) == []
