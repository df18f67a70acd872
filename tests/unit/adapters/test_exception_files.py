"""A folder of signed exceptions: what is read of it, and when."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.exception_files import ExceptionFolder
from shared.domain.errors import InvalidSettings
from shared.ports.exceptions import MAX_EXCEPTIONS, MAX_SEALED, Folder
from tests.waiting import eventually

SELDOM = 60.0


async def read(folder: Path) -> Folder:
    return await ExceptionFolder(folder).read()


def write(path: Path, content: bytes = b"line") -> None:
    path.write_bytes(content)


async def test_every_exception_of_the_folder_is_read_without_the_end_of_its_line(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.exception", b"one")
    write(tmp_path / "b.exception", b"two\n")
    write(tmp_path / "c.exception", b"three\r\n")
    write(tmp_path / "README.md", b"not read")
    (tmp_path / "folder").mkdir()
    folder = await read(tmp_path)
    assert folder.sealed == {
        "a.exception": b"one",
        "b.exception": b"two",
        "c.exception": b"three",
    }
    assert folder.unread == {}


async def test_an_empty_folder_is_one(tmp_path: Path) -> None:
    assert await read(tmp_path) == Folder()


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"one\n\ntwo"])
async def test_what_is_not_one_line_is_said(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "a.exception", content)
    folder = await read(tmp_path)
    assert folder.sealed == {}
    assert "must hold one line" in folder.unread["a.exception"]


async def test_a_file_above_the_limit_is_said_and_never_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "fits.exception", b"a" * MAX_SEALED + b"\n")
    write(tmp_path / "large.exception", b"a" * (MAX_SEALED + 1))
    with (tmp_path / "huge.exception").open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    folder = await read(tmp_path)
    assert set(folder.sealed) == {"fits.exception"}
    assert {name: f"larger than {MAX_SEALED}" in why for name, why in folder.unread.items()} == {
        "large.exception": True,
        "huge.exception": True,
    }


async def test_what_is_no_file_is_said_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.exception")
    (tmp_path / "folder.exception").mkdir()
    (tmp_path / "nowhere.exception").symlink_to(tmp_path / "gone")
    (tmp_path / "loop.exception").symlink_to(tmp_path / "loop.exception")
    folder = await asyncio.wait_for(read(tmp_path), 10)
    assert folder.sealed == {}
    assert folder.unread == {
        "pipe.exception": "is no regular file",
        "folder.exception": "is a directory",
        "nowhere.exception": "no such file or directory",
        "loop.exception": "too many levels of symbolic links",
    }


async def test_more_files_than_are_read_are_said_and_the_first_are_read(tmp_path: Path) -> None:
    for number in range(MAX_EXCEPTIONS + 2):
        write(tmp_path / f"{number:05d}.exception")
    folder = await read(tmp_path)
    assert len(folder.sealed) == MAX_EXCEPTIONS
    assert max(folder.sealed) == f"{MAX_EXCEPTIONS - 1:05d}.exception"
    assert f"more than {MAX_EXCEPTIONS} files" in folder.unread[str(tmp_path)]


async def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    files = ExceptionFolder(tmp_path)
    os.rmdir(tmp_path)
    assert await files.read() == Folder(unread={str(tmp_path): "no such file or directory"})


def test_a_folder_that_never_was_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    write(tmp_path / "file")
    for path in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(InvalidSettings, match=r"IMAGEGATE_EXCEPTIONS: .* is no folder"):
            ExceptionFolder(path)


class Reader:
    """Reads the folder again whenever it is told that something changed."""

    def __init__(self, files: ExceptionFolder) -> None:
        self._files = files
        self.found = Folder()

    async def follow(self) -> None:
        async for _ in self._files.changes():
            self.found = await self._files.read()


@asynccontextmanager
async def following(folder: Path, *, every: float = SELDOM) -> AsyncIterator[Reader]:
    reader = Reader(ExceptionFolder(folder, every=every))
    task = asyncio.create_task(reader.follow())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.wait({task})


def mount(folder: Path, version: str, **files: str) -> None:
    """As the kubelet writes a ConfigMap: a folder of its own, and one link that is replaced."""
    data = folder / f"..{version}"
    data.mkdir()
    for name, content in files.items():
        (data / f"{name}.exception").write_text(content)
        link = folder / f"{name}.exception"
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}.exception")
    new = folder / "..data_tmp"
    new.symlink_to(data.name)
    new.replace(folder / "..data")


async def test_a_config_map_that_changes_is_seen(tmp_path: Path) -> None:
    mount(tmp_path, "1", a="one")
    async with following(tmp_path) as reader:
        await eventually(lambda: reader.found.sealed == {"a.exception": b"one"})
        mount(tmp_path, "2", a="one", b="two")
        both = {"a.exception": b"one", "b.exception": b"two"}
        await eventually(lambda: reader.found.sealed == both)
        assert "..data" not in reader.found.sealed


async def test_a_file_that_is_put_there_is_seen(tmp_path: Path) -> None:
    async with following(tmp_path) as reader:
        await asyncio.sleep(0.2)
        write(tmp_path / "a.exception", b"one")
        await eventually(lambda: reader.found.sealed == {"a.exception": b"one"})


async def test_what_nobody_tells_of_is_seen_by_the_next_look(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere / "a.exception", b"one")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.exception").symlink_to(elsewhere / "a.exception")
    async with following(folder, every=0.3) as reader:
        await eventually(lambda: reader.found.sealed == {"a.exception": b"one"})
        write(elsewhere / "a.exception", b"two")
        await eventually(lambda: reader.found.sealed == {"a.exception": b"two"})


async def test_a_folder_that_goes_and_comes_back_is_followed_again(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with following(folder, every=0.3) as reader:
        folder.rmdir()
        await eventually(lambda: bool(reader.found.unread))
        folder.mkdir()
        write(folder / "a.exception", b"one")
        await eventually(lambda: reader.found.sealed == {"a.exception": b"one"})
