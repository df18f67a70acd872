"""The texts of records: files, zip archives and folders, read one by one, within bounds.

Archives are never unpacked to disk. What cannot be read to its end is refused by name: a dump
that is read in part would be taken for the whole of it.
"""

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from services.scanner.feeds.records import MAX_RECORD
from services.scanner.feeds.state import FeedRefused
from shared.runtime.logging import one_line

DESCRIPTOR = "imagegate-feed.json"
MAX_MEMBERS = 2_000_000
MAX_BYTES = 64 * 1024**3
"""Of all records of an import: ten times what Ubuntu's, the largest dump, unpacks to."""
MAX_RATIO = 400
SMALL = 1024**2
"""A member up to this size may be packed as tightly as it likes."""

_BROKEN = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


class Text(NamedTuple):
    """One JSON text."""

    where: str
    """For people: `all.zip/DSA-1-1.json`."""
    content: bytes
    descriptor: bool


class Sources:
    """All texts of `paths`. Raises FeedRefused, also while they are read."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._files = [file for path in paths for file in _files(Path(path))]
        if not self._files:
            raise FeedRefused("nothing to import: no .json and no .zip among what was named")
        self.bytes = 0
        self.total = sum(_count(file) for file in self._files)
        if self.total > MAX_MEMBERS:
            raise FeedRefused(f"{self.total} records are more than {MAX_MEMBERS}")

    def __iter__(self) -> Iterator[Text]:
        for file in self._files:
            texts = _members(file) if file.suffix == ".zip" else _single(file)
            for text in texts:
                self.bytes += len(text.content)
                if self.bytes > MAX_BYTES:
                    raise FeedRefused(f"{text.where}: more than {MAX_BYTES} bytes in all")
                yield text


def _files(path: Path) -> Iterator[Path]:
    """In the order of their names, so that the same folder gives the same feed."""
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if any(part.startswith(".") for part in inner.relative_to(path).parts):
                continue
            if inner.is_dir():
                if inner.is_symlink():
                    raise FeedRefused(f"{inner} is a link to a folder: name that folder instead")
            elif inner.suffix in {".json", ".zip"}:
                yield _inside(inner, path)
    elif path.suffix in {".json", ".zip"} and path.exists():
        yield path
    else:
        raise FeedRefused(f"{path} is no .json, no .zip and no folder")


def _inside(file: Path, folder: Path) -> Path:
    """A link within the folder is what Kubernetes makes of a ConfigMap; one that leads out of it
    is not what was named."""
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(folder)) or not target.is_file():
        raise FeedRefused(f"{file} leads to {target}, which is no file in {folder}: remove it")
    return file


def _count(file: Path) -> int:
    if file.suffix != ".zip":
        return 1
    with _opened(file) as archive:
        return len(archive.infolist())


def _single(file: Path) -> Iterator[Text]:
    try:
        with file.open("rb") as stream:
            yield Text(file.name, stream.read(MAX_RECORD + 1), file.name == DESCRIPTOR)
    except OSError as error:
        raise FeedRefused(f"{file} cannot be read: {error.strerror or error}") from error


def _members(file: Path) -> Iterator[Text]:
    seen: set[str] = set()
    with _opened(file) as archive:
        for member in archive.infolist():
            if member.is_dir() or not member.filename.endswith(".json"):
                continue
            where = f"{file.name}/{one_line(member.filename)}"
            _check(member, where, seen)
            try:
                with archive.open(member) as stream:
                    content = stream.read(MAX_RECORD + 1)
            except _BROKEN as error:
                raise FeedRefused(f"{where} cannot be read: {error}; get it again") from error
            yield Text(where, content, Path(member.filename).name == DESCRIPTOR)


def _check(member: zipfile.ZipInfo, where: str, seen: set[str]) -> None:
    if member.filename in seen:
        raise FeedRefused(f"{where} is in the archive twice: which of them counts, nobody knows")
    seen.add(member.filename)
    if member.file_size > MAX_RECORD:
        raise FeedRefused(f"{where} unpacks to {member.file_size} bytes, over {MAX_RECORD}")
    if member.file_size > SMALL and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise FeedRefused(
            f"{where} is packed more than {MAX_RATIO} times smaller than it is: it is no record"
        )


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise FeedRefused(f"{file} is no whole zip archive: {error}; get it again") from error
