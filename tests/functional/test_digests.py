"""Digests in pods, alone or beside a tag that may lie (docs/design/behaviour.md 2): under which tag
they are judged, through the whole of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.images import Content, tiny_image
from tests.house import House, house

GOOD, BAD = (tiny_image(config={"Labels": {"which": which}}) for which in ("good", "bad"))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        running.anchore.store.decide(BAD.digest, "stop")
        yield running


async def judged(home: House) -> set[tuple[str, str]]:
    """(digest, tag or nothing) of each verdict and error in the store."""
    keys = [
        key
        for prefix in ("verdict:", "error:")
        for key in await home.backends.store.keys(prefix, limit=100)
    ]
    subjects = [key.partition("@")[2].partition("|")[0] for key in keys]
    return {(digest, tag) for digest, _, tag in (each.partition("#") for each in subjects)}


def nameless(content: Content) -> str:
    """The tag that nobody can choose, by which Anchore knows a digest without one."""
    return f"imagegate-sha256-{content.digest.removeprefix('sha256:')[:12]}"


async def test_a_digest_without_a_tag_is_judged_under_none(home: House) -> None:
    home.registry.put(GOOD, "team/app:1")
    assert (await home.settled(f"{home.registry.host}/team/app@{GOOD.digest}")).allowed
    assert await judged(home) == {(GOOD.digest, "")}
    (record,) = home.anchore.store.images.values()
    assert record.tags == [f"{home.registry.host}/team/app:{nameless(GOOD)}"]


@pytest.mark.parametrize("tag", ["1", "latest", "never-pushed"])
async def test_a_tag_that_lies_about_its_digest_is_dropped_and_never_written(
    home: House, tag: str
) -> None:
    home.registry.put(GOOD, "team/app:1")
    home.registry.put(BAD, "team/app:2")
    lying = f"{home.registry.host}/team/app:{tag}@{BAD.digest}"
    answer = await home.settled(lying)
    assert (answer.code, answer.message.startswith(f"image {lying}: refused by")) == (403, True)
    assert await judged(home) == {(BAD.digest, "")}
    (record,) = home.anchore.store.images.values()
    assert record.tags == [f"{home.registry.host}/team/app:{nameless(BAD)}"]
    assert (await home.settled(f"{home.registry.host}/team/app:1")).allowed


async def test_a_tag_that_named_the_digest_when_it_was_judged_counts_wherever_it_moved(
    home: House,
) -> None:
    tag = str(home.registry.put(GOOD, "team/app:1"))
    pinned = f"{tag}@{GOOD.digest}"
    assert (await home.settled(pinned)).allowed
    assert await judged(home) == {(GOOD.digest, "1")}
    home.registry.put(BAD, "team/app:1")
    for _ in range(2):
        assert (await home.review(pinned)).allowed
    assert (GOOD.digest, "") not in await judged(home)
