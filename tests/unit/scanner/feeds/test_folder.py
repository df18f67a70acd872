"""The folder of feeds: what counts is whole at any moment, and one import writes at a time."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services.scanner.feeds.feed import Feed
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.state import FeedBusy, FeedError
from tests.unit.scanner.feeds.osv import affected, image, imported, opened, package, record, write

ONE = record("DEBIAN-CVE-2099-1001", affected("Debian:12", "one", "introduced 0"))
TWO = record("DEBIAN-CVE-2099-1002", affected("Debian:12", "two", "introduced 0"))

_IMPORT = """
import os, signal, sys
from pathlib import Path
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records

left = int(sys.argv[3])

def trace(frame, event, argument):
    global left
    if event == "line" and "/services/scanner/feeds/" in frame.f_code.co_filename:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace

sys.settrace(trace)
import_records(FeedFolder(Path(sys.argv[1])), [Path(sys.argv[2])])
sys.settrace(None)
"""


def killed_after(lines: int, folder: Path, source: Path) -> int:
    """An import in a process that kills itself after so many lines of ours; its exit code."""
    command = [sys.executable, "-P", "-c", _IMPORT, str(folder), str(source), str(lines)]
    return subprocess.run(command, check=False, env={"PYTHONPATH": os.getcwd()}).returncode


def test_an_import_that_is_killed_anywhere_leaves_a_whole_feed(tmp_path: Path) -> None:
    old = imported(tmp_path, ONE).state
    feeds = tmp_path / "feeds"
    source = write(tmp_path / "new", TWO)
    lines, kills, seen = 1, 0, set()
    while killed_after(lines, feeds, source) == -signal.SIGKILL:
        kills += 1
        state = FeedFolder(feeds).state()
        assert state is not None
        seen.add(state.identity)
        opened(tmp_path).close()
        lines = lines * 5 // 4 + 20
        if state.identity != old.identity:
            break

    assert kills > 5
    assert old.identity in seen
    new = import_records(FeedFolder(feeds), [source]).state
    assert FeedFolder(feeds).state() == new
    left = sorted(one.name for one in feeds.iterdir())
    assert left == ["current", f"feed-{new.identity}.sqlite", "lock"]


def test_two_imports_at_once_are_told_apart(tmp_path: Path) -> None:
    folder = FeedFolder(tmp_path / "feeds")
    source = write(tmp_path / "in", ONE)

    with folder.locked(), pytest.raises(FeedBusy, match=r"another import into .* is under way"):
        import_records(FeedFolder(folder.path), [source])
    import_records(folder, [source])
    assert folder.current() is not None


def test_a_feed_that_is_open_is_read_on_when_another_has_replaced_it(tmp_path: Path) -> None:
    imported(tmp_path, ONE)
    old = opened(tmp_path)
    imported(tmp_path, TWO)
    asked = image("debian:12", package("one", "1"), package("two", "1"))

    assert [one.id for one in old.match(asked).findings] == ["CVE-2099-1001"]
    assert [one.id for one in opened(tmp_path).match(asked).findings] == ["CVE-2099-1002"]


def test_readers_find_a_whole_feed_at_every_moment_while_others_replace_it(tmp_path: Path) -> None:
    imported(tmp_path, ONE)
    folder, over, looks = FeedFolder(tmp_path / "feeds"), threading.Event(), 0
    sources = [write(tmp_path / "a", ONE), write(tmp_path / "b", TWO)]

    def replace() -> None:
        for number in range(20):
            import_records(FeedFolder(folder.path), [sources[number % 2]])
        over.set()

    other = threading.Thread(target=replace)
    other.start()
    while not over.is_set():
        file = folder.current()
        assert file is not None
        looks += 1
        try:
            Feed.open(file).close()
        except FeedError:
            assert folder.current() != file, "the feed that counts must be whole"
    other.join()
    assert looks > 20


def test_the_state_is_read_once_a_feed(tmp_path: Path) -> None:
    imported(tmp_path, ONE)
    folder = FeedFolder(tmp_path / "feeds")

    assert folder.known() is None
    state = folder.state()
    assert state is not None
    assert folder.known() is state
    imported(tmp_path, TWO)
    assert folder.known() is None
    assert folder.state() != state


def test_a_folder_without_a_feed_says_so(tmp_path: Path) -> None:
    folder = FeedFolder(tmp_path / "not there")

    assert (folder.current(), folder.state(), folder.known()) == (None, None, None)


@pytest.mark.parametrize("content", [b"", b"not SQLite at all", b"SQLite format 3\0" + bytes(4096)])
def test_a_file_that_is_no_feed_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "feed-1.sqlite").write_bytes(content)
    (tmp_path / "current").symlink_to("feed-1.sqlite")

    with pytest.raises(FeedError, match=r"feed-1\.sqlite.*import the records again"):
        FeedFolder(tmp_path).state()
    with pytest.raises(FeedError, match=r"feed-1\.sqlite"):
        Feed.open(tmp_path / "feed-1.sqlite")


def test_a_feed_that_nobody_can_read_is_replaced_by_the_next_import(tmp_path: Path) -> None:
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    (feeds / "feed-1.sqlite").write_bytes(b"not SQLite at all")
    (feeds / "current").symlink_to("feed-1.sqlite")
    done = imported(tmp_path, ONE)

    assert done.kept == ()
    assert not (feeds / "feed-1.sqlite").exists()


def test_a_folder_that_cannot_be_written_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="the feed folder /proc/no cannot be written"):
        import_records(FeedFolder(Path("/proc/no")), [write(tmp_path, ONE)])


def test_only_its_owner_reads_the_folder(tmp_path: Path) -> None:
    imported(tmp_path, ONE)

    assert (tmp_path / "feeds").stat().st_mode & 0o777 == 0o700
