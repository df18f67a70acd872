import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.domain.errors import InvalidSettings
from shared.runtime.state import ensure_secret


def test_a_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a.token"
    text = ensure_secret(path)
    assert len(text) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_secret(path) == text
    assert ensure_secret(tmp_path / "b.token") != text
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.token", "b.token"]


def test_all_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(lambda _: ensure_secret(tmp_path / "token"), range(64)))
    assert len(made) == 1


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    text = ensure_secret(path)
    path.chmod(0o640)
    with pytest.raises(InvalidSettings, match="mode 0640") as error:
        ensure_secret(path)
    assert text not in str(error.value)


@pytest.mark.parametrize("content", ["", "\n", "short"])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(InvalidSettings, match="remove it, and one is made"):
        ensure_secret(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"cannot make .*nowhere/token: No such file"):
        ensure_secret(tmp_path / "nowhere" / "token")
