import msgspec
import pytest

from shared.adapters.entries import MAX_DECISION_BYTES
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT, DecisionRecord
from tests.contract.stores import DECISIONS, World, decision


async def _names(world: World, *, limit: int = 1_000, after: str = "") -> list[str]:
    recent = await world.decisions.recent(limit=limit, after=after)
    return [one.decision.name for one in recent]


async def _kept(world: World, written: DecisionRecord) -> DecisionRecord:
    await world.decisions.write([written])
    (kept,) = await world.decisions.recent(limit=1)
    return kept.decision


async def test_what_was_written_is_read_back_whole(world: World) -> None:
    written = decision(
        "web-*",
        at=1_750_000_000_123,
        allowed=False,
        state="fail",
        code=403,
        user="system:serviceaccount:ci:deployer",
        images=("registry.test/team/app:1", "ünï\x00\r\n\u202e'\"\\"),
        reason="image registry.test/team/app:1: refused",
        rule="payments",
        dry_run=True,
        took=1.25,
        times=7,
        webhook="webhook@host:1:ab",
    )
    assert await _kept(world, written) == written


async def test_before_anything_was_written_there_is_nothing(world: World) -> None:
    assert await world.decisions.recent(limit=10) == []
    await world.decisions.write([])
    assert await world.decisions.recent(limit=10) == []


async def test_the_newest_come_first_within_a_batch_and_across_batches(world: World) -> None:
    await world.decisions.write([decision("a"), decision("b")])
    await world.decisions.write([decision("c")])
    await world.passes(5)
    await world.decisions.write([decision("d"), decision("e")])
    assert await _names(world) == ["e", "d", "c", "b", "a"]


async def test_no_more_come_than_were_asked_for(world: World) -> None:
    await world.decisions.write([decision(name) for name in "abc"])
    assert await _names(world, limit=2) == ["c", "b"]
    assert await _names(world, limit=0) == []
    assert await _names(world, limit=-1) == []


async def test_after_an_id_come_only_those_written_later(world: World) -> None:
    await world.decisions.write([decision("a"), decision("b")])
    seen = (await world.decisions.recent(limit=1))[0].id
    assert await _names(world, after=seen) == []
    await world.decisions.write([decision("c"), decision("d")])
    assert await _names(world, after=seen) == ["d", "c"]
    assert await _names(world, limit=1, after=seen) == ["d"]


async def test_ids_grow_as_two_numbers_with_a_line_between(world: World) -> None:
    for name in "abc":
        await world.decisions.write([decision(f"{name}{n}") for n in range(15)])
        await world.passes(2)
    ids = [one.id.split("-") for one in await world.decisions.recent(limit=100)]
    numbers = [(int(at), int(number)) for at, number in ids]
    assert len(set(numbers)) == 45
    assert numbers == sorted(numbers, reverse=True)
    assert abs(numbers[0][0] - world.now()) < 10_000


@pytest.mark.parametrize("after", ["nonsense", "1", "-", "+", "(1-1", "1-1-1", "9" * 40 + "-0"])
async def test_what_is_no_id_stands_for_the_beginning(world: World, after: str) -> None:
    await world.decisions.write([decision("a"), decision("b")])
    assert await _names(world, after=after) == ["b", "a"]


@pytest.mark.parametrize("after", ["9" * 19 + "-" + "9" * 19, "9" * 13 + "-0"])
async def test_nothing_was_written_after_an_id_of_the_future(world: World, after: str) -> None:
    await world.decisions.write([decision("a")])
    assert await _names(world, after=after) == []


async def test_the_oldest_go_and_the_newest_stay(world: World) -> None:
    for start in range(0, 5 * DECISIONS, DECISIONS // 2):
        await world.decisions.write([decision(f"{start + n}") for n in range(DECISIONS // 2)])
    names = await _names(world, limit=DECISIONS)
    assert names == [f"{n}" for n in range(5 * DECISIONS - 1, 4 * DECISIONS - 1, -1)]


async def test_of_a_batch_that_is_too_large_the_newest_stay(world: World) -> None:
    await world.decisions.write([decision(f"{n}") for n in range(2 * DECISIONS)])
    assert (await _names(world))[0] == f"{2 * DECISIONS - 1}"


async def test_of_long_texts_and_many_images_the_beginning_is_kept(world: World) -> None:
    long = decision("n" * 1_000, images=tuple(f"image {n}" for n in range(500)))
    kept = await _kept(world, long)
    assert kept.name == "n" * MAX_TEXT
    assert kept.images == long.images[:MAX_IMAGES]


@pytest.mark.parametrize("worst", ["\x00", "\udfff", "ü", "\U0001f600", '"'])
async def test_however_long_and_strange_its_texts_are_a_decision_stays_small(
    world: World, worst: str
) -> None:
    text = worst * 100_000
    kept = await _kept(
        world,
        decision(
            text,
            state=text,
            kind=text,
            namespace=text,
            user=text,
            operation=text,
            images=(text,) * 500,
            reason=text,
            rule=text,
            webhook=text,
            at=2**62,
            took=1 / 3,
            times=2**62,
        ),
    )
    assert kept.name
    assert len(kept.images) == MAX_IMAGES
    assert len(msgspec.json.encode(kept)) <= MAX_DECISION_BYTES
