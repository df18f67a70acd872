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


async def test_it_has_no_secret_of_the_server_in_its_environment(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEGATE_SCANNER_PASSWORD", "hunter2-hunter2")
    seen: list[bytes] = []

    def look(*progress: object) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = f"PPid:\t{os.getpid()}\n" in (process / "status").read_text()
                if is_ours and b"import_process" in (process / "cmdline").read_bytes():
                    seen.append((process / "environ").read_bytes())
            except OSError:
                continue

    await Imports(tmp_path / "feeds", memory=2 * GIB).run([archive], progress=look)
    assert any(b"PATH=" in one for one in seen)
    assert not any(b"hunter2" in one for one in seen)
