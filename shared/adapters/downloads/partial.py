"""A download's files: `NAME`, whole; `NAME.part`, what came so far; a note beside each.

A note says which state of the server's file the bytes are of. It is written before bytes of that
state are, and bytes of another state are gone before: a kill at any moment leaves either nothing
or a beginning that can be gone on with.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from shared.ports.downloads import Download


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server said of a state of its file."""

    url: str
    etag: str = ""
    """Only a strong one: a weak one does not promise the same bytes."""
    last_modified: str = ""
    """As it was sent, to be sent back."""
    modified: int | None = None
    length: int | None = None
    """None until it is known."""
    hashes: dict[str, str] = {}
    """By the names of `hashlib`, hexadecimal; of the whole file."""


class Partial:
    """The files of one download. Nothing here is for the event loop: files are slow."""

    def __init__(self, into: Path, *, url: str) -> None:
        self._into = into
        self._url = url
        self._part = into.with_name(f"{into.name}.part")

    @property
    def size(self) -> int:
        """Bytes that came so far."""
        return _size(self._part) or 0

    def begun(self) -> Note | None:
        """Which state what came so far is of; None: there is nothing to go on with."""
        note = self._read(self._part)
        return note if note is not None and self.size else None

    def whole(self) -> tuple[Note, Download] | None:
        """What an earlier download left."""
        note = self._read(self._into)
        if note is None or note.length is None or note.length != _size(self._into):
            return None
        return note, self._download(note, new=False)

    def begin(self, note: Note) -> None:
        """Throw away what came so far, for a beginning of this state."""
        self._into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._part.write_bytes(b"")
        _write(_note_of(self._part), msgspec.json.encode(note))

    def append(self, data: bytes) -> None:
        """More of the state that was begun."""
        with self._part.open("ab") as file:
            file.write(data)

    def wrong_hash(self, note: Note) -> str:
        """The kind of hash that what came does not have though the server says so; or nothing."""
        for name, wanted in note.hashes.items():
            with self._part.open("rb") as file:
                found = hashlib.file_digest(file, _hasher(name)).hexdigest()
            if found != wanted:
                return name
        return ""

    def discard(self) -> None:
        """Throw away what came so far."""
        self._part.unlink(missing_ok=True)
        _note_of(self._part).unlink(missing_ok=True)

    def finish(self, note: Note) -> Download:
        """What came is the whole file: put it in its place."""
        whole = msgspec.structs.replace(note, length=self.size)
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        # In this order: old words about a new file have it downloaded again, new words about an
        # old file would have it taken for the new one.
        self._part.replace(self._into)
        _write(_note_of(self._into), msgspec.json.encode(whole))
        _note_of(self._part).unlink(missing_ok=True)
        return self._download(whole, new=True)

    def _download(self, note: Note, *, new: bool) -> Download:
        return Download(
            path=self._into,
            url=note.url,
            size=note.length or 0,
            etag=note.etag,
            modified=note.modified,
            checked=", ".join(note.hashes),
            new=new,
        )

    def _read(self, path: Path) -> Note | None:
        try:
            note = msgspec.json.decode(_note_of(path).read_bytes(), type=Note)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return note if note.url == self._url else None


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.note")


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def _hasher(name: str) -> Callable[[], "hashlib._Hash"]:
    return lambda: hashlib.new(name, usedforsecurity=False)
