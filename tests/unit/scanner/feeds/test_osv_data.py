"""The feed as the server asks it: through judges, and whichever counts at the moment."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.scanner.feeds import demonstration
from services.scanner.feeds.folder import FeedFolder
from services.scanner.judging.judges import Judges, open_judges
from services.scanner.matching.osv import OsvData
from services.scanner.matching.port import MatchingFailed
from tests.unit.scanner.feeds.osv import affected, image, imported, package, record

ONE = record("DEBIAN-CVE-2099-1001", affected("Debian:12", "one", "introduced 0"))
TWO = record("DEBIAN-CVE-2099-1002", affected("Debian:12", "two", "introduced 0"))
ASKED = msgspec.json.encode(image("debian:12", package("one", "1"), package("two", "1")))


@pytest.fixture
async def judges() -> AsyncIterator[Judges]:
    async with open_judges(count=1, seconds=60.0) as opened:
        yield opened


@pytest.fixture
def data(tmp_path: Path, judges: Judges) -> OsvData:
    return OsvData(judges=judges, folder=FeedFolder(tmp_path / "feeds"))


async def test_another_feed_is_asked_from_the_next_question_on(
    tmp_path: Path, data: OsvData
) -> None:
    imported(tmp_path, ONE, whole=["Debian"])
    first = (await data.match(ASKED)).read()
    imported(tmp_path, TWO, whole=["Debian"])
    second = (await data.match(ASKED)).read()

    assert [one.id for one in first.findings] == ["CVE-2099-1001"]
    assert [one.id for one in second.findings] == ["CVE-2099-1002"]
    assert second.data == (await data.state()).identity != first.data


async def test_the_state_tells_what_there_is_and_how_old_it_is(
    tmp_path: Path, data: OsvData
) -> None:
    imported(tmp_path, ONE, record("GHSA-1", affected("npm", "a")))
    state = await data.state()

    assert (state.source, state.problem, state.as_of) == ("osv", "", 1_794_355_200_000)
    assert [(one.name, one.records, one.covers) for one in state.groups] == [
        ("debian:12", 1, ("one",)),
        ("npm", 1, ("a",)),
    ]
    imported(tmp_path, ONE, whole=["Debian"])
    assert (await data.state()).groups[0].covers is None


async def test_the_demonstration_feed_is_said_to_be_one_and_answers(
    tmp_path: Path, data: OsvData
) -> None:
    demonstration.begin(FeedFolder(tmp_path / "feeds"))

    assert "demonstration feed" in (await data.state()).problem
    assert "imagegate feeds sync" in (await data.state()).problem
    asked = msgspec.json.encode(image("debian:12", package("netbase", "6.4")))
    matches = (await data.match(asked)).read()
    assert (matches.unavailable, matches.uncovered, matches.findings) == ("", (), ())


async def test_without_a_feed_nothing_is_clean(data: OsvData) -> None:
    state = await data.state()

    assert (state.as_of, state.groups) == (None, ())
    assert "there is no feed: run `imagegate feeds sync`" in state.problem
    with pytest.raises(MatchingFailed, match="there is no feed in"):
        await data.match(ASKED)


async def test_a_feed_that_cannot_be_read_is_told_and_nothing_is_clean(
    tmp_path: Path, data: OsvData
) -> None:
    imported(tmp_path, ONE)
    current = FeedFolder(tmp_path / "feeds").current()
    assert current is not None
    current.write_bytes(b"torn")

    assert "cannot be read" in (await data.state()).problem
    with pytest.raises(MatchingFailed, match="cannot be read"):
        await data.match(ASKED)


async def test_a_link_to_a_feed_that_was_removed_is_told(tmp_path: Path, data: OsvData) -> None:
    imported(tmp_path, ONE)
    current = FeedFolder(tmp_path / "feeds").current()
    assert current is not None
    current.unlink()

    with pytest.raises(MatchingFailed, match="cannot be read"):
        await data.match(ASKED)
