"""A layer's bytes, unpacked piece by piece: hashed, counted and never more than allowed.

How a layer is packed is seen from its first bytes, as containerd and Syft do
(docs/design/scanner-facts.md).
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from services.scanner.records import AnalysisFailed

_CHUNK = 1024**2
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_NEVER_PACKED = "application/vnd.oci.image.layer.v1.tar"


class TooLarge(AnalysisFailed):
    """A layer with more bytes than may still be unpacked."""

    def __init__(self) -> None:
        super().__init__("the unpacked image is over the limit")


class Tape:
    """Reads forward only, at most `most` bytes; `size` have gone by."""

    def __init__(self, stream: BinaryIO, *, most: int) -> None:
        self._stream = stream
        self._most = most
        self._hash = hashlib.sha256()
        self._chunk = b""
        self._at = 0
        self.size = 0

    @property
    def digest(self) -> str:
        """Of all that has gone by; the diff id once `finish` was called."""
        return f"sha256:{self._hash.hexdigest()}"

    @property
    def position(self) -> int:
        """Where the next byte stands in the unpacked layer."""
        return self.size - len(self._chunk) + self._at

    def read(self, count: int) -> bytes:
        """So many bytes, fewer only at the end."""
        end = self._at + count
        if end <= len(self._chunk):
            found = self._chunk[self._at : end]
            self._at = end
            return found
        parts = []
        while count and (piece := self._piece(count)):
            parts.append(piece)
            count -= len(piece)
        return b"".join(parts)

    def skip(self, count: int) -> int:
        """Pass over so many bytes; how many there were."""
        wanted = count
        while count:
            here = min(count, len(self._chunk) - self._at)
            self._at += here
            count -= here
            if count and not self._fill():
                break
        return wanted - count

    def finish(self) -> None:
        """Read what is left."""
        while self._fill():
            pass

    def _piece(self, count: int) -> bytes:
        if self._at == len(self._chunk) and not self._fill():
            return b""
        piece = self._chunk[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def _fill(self) -> bool:
        self._chunk, self._at = self._stream.read(_CHUNK), 0
        self.size += len(self._chunk)
        if self.size > self._most:
            raise TooLarge
        self._hash.update(self._chunk)
        return bool(self._chunk)


@contextmanager
def unpacked(path: Path, *, media_type: str, most: int) -> Iterator[Tape]:
    """The layer in the file `path`.

    Raises AnalysisFailed when it cannot be unpacked, or is larger than `most`.
    """
    try:
        with path.open("rb") as file, _stream(file, media_type) as stream:
            yield Tape(stream, most=most)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise AnalysisFailed(f"it cannot be unpacked: {error}") from error


def _stream(file: BinaryIO, media_type: str) -> BinaryIO:
    magic = file.read(8)
    file.seek(0)
    if media_type == _NEVER_PACKED:
        return file
    if magic.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if magic.startswith(_ZSTD) or _is_skippable(magic):
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return cast("BinaryIO", reader)
    return file


def _is_skippable(magic: bytes) -> bool:
    """Whether it starts with a frame of zstd that holds no data, as zstd:chunked may."""
    return len(magic) == 8 and int.from_bytes(magic[:4], "little") in _SKIPPABLE
