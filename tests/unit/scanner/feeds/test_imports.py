"""Imports in a process of their own: what becomes of one that ends otherwise than it should."""

import fcntl
import os
from pathlib import Path

import pytest

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.imports import Imports
from services.scanner.feeds.state import FeedBusy, FeedRefused
from tests.fakes.osv import debian, dump

GIB = 1024**3


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "all.zip"
    file.write_bytes(dump(*map(debian, range(20))))
    return file


async def test_it_tells_how_far_it_is_and_what_it_did(tmp_path: Path, archive: Path) -> None:
    told: list[tuple[str, int, int]] = []
    imports = Imports(tmp_path / "feeds", memory=2 * GIB)
    imported = await imports.run(
        [archive],
        whole=["Debian"],
        as_of=1_760_000_000_000,
        progress=lambda *what: told.append(what),
    )
    assert (imported.records, imported.state.releases[0].as_of) == (20, 1_760_000_000_000)
    assert next(step for step, _, _ in told) == "read"
    state = FeedFolder(tmp_path / "feeds").state()
    assert state is not None
    assert state.identity == imported.state.identity


async def test_one_that_may_not_have_the_memory_it_needs_says_so(
    tmp_path: Path, archive: Path
) -> None:
    with pytest.raises(FeedRefused, match=r"ended by .* before it was done|IMPORT_MEMORY"):
        await Imports(tmp_path / "feeds", memory=20 * 1024**2).run([archive], whole=["Debian"])
    assert FeedFolder(tmp_path / "feeds").current() is None


async def test_a_folder_in_which_another_imports_is_busy(tmp_path: Path, archive: Path) -> None:
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    lock = os.open(feeds / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(FeedBusy):
            await Imports(feeds, memory=2 * GIB).run([archive], whole=["Debian"])
    finally:
        os.close(lock)


async def test_what_cannot_be_read_is_refused_in_its_own_words(tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    file.write_bytes(b"PK no archive")
    with pytest.raises(FeedRefused, match=r"all\.zip"):
        await Imports(tmp_path / "feeds", memory=2 * GIB).run([file], whole=["Debian"])
