from contextlib import closing
from pathlib import Path

import pytest

from shared.runtime.folder_lock import FolderLock


def test_a_folder_is_made_and_taken_by_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    with closing(FolderLock(folder)) as first, closing(FolderLock(folder)) as second:
        assert (first.take(), second.take()) == (True, False)
        assert folder.stat().st_mode & 0o777 == 0o700


def test_who_lets_go_leaves_it_to_the_next(tmp_path: Path) -> None:
    with closing(FolderLock(tmp_path)) as first:
        assert first.take()
    with closing(FolderLock(tmp_path)) as second:
        assert second.take()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        FolderLock(tmp_path / "file" / "below")
