"""Layers entry by entry, as no builder of images would write them."""

import tarfile
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

BLOCK = 512
END = bytes(2 * BLOCK)
Form = Literal[0, 1, 2]
"""tarfile's USTAR_FORMAT, GNU_FORMAT, PAX_FORMAT."""

FOLDER, SYMLINK, HARD_LINK = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
FIFO, CHARACTER, BLOCK_DEVICE = tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE


class Part(msgspec.Struct, frozen=True):
    """One entry; `name` and `link` may hold anything, bytes as surrogates."""

    name: str
    body: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    pax: Mapping[str, str] = {}
    mode: int = 0o644
    size: int | None = None
    """What the header says, when it is not the body's."""


def layer(*parts: Part, form: Form = tarfile.PAX_FORMAT, end: bytes = END) -> bytes:
    """The archive, without padding behind its end mark."""
    return b"".join(written(part, form) for part in parts) + end


def files(contents: Mapping[str, bytes]) -> bytes:
    """A layer of plain files."""
    return layer(*(Part(name, body) for name, body in contents.items()))


def written(part: Part, form: Form = tarfile.PAX_FORMAT) -> bytes:
    """The entry's headers, and its body padded to blocks."""
    member = tarfile.TarInfo(part.name)
    member.type, member.linkname, member.mode = part.kind, part.link, part.mode
    member.size = len(part.body) if part.size is None else part.size
    member.pax_headers = dict(part.pax)
    header = member.tobuf(form, "utf-8", "surrogateescape")
    return header + part.body + bytes(-len(part.body) % BLOCK)


def global_header(records: Mapping[str, str], *, name: str = "pax_global_header") -> bytes:
    """PAX records that Python's reader applies to all that follows, and Go's to nothing."""
    body = b"".join(_record(key, value) for key, value in records.items())
    member = tarfile.TarInfo(name)
    member.type, member.size = tarfile.XGLTYPE, len(body)
    return member.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % BLOCK)


def old_sparse(name: str, *, size: int, holes: Sequence[tuple[int, int]] = ()) -> bytes:
    """GNU's first kind of sparse file, of `size` bytes of which none is stored."""
    member = tarfile.TarInfo(name)
    member.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    for number, (offset, length) in enumerate(holes):
        block[386 + 24 * number :][:24] = b"%011o\0%011o\0" % (offset, length)
    block[483:495] = _number(size)
    return signed(block)


def signed(block: bytearray) -> bytes:
    """The header with the checksum that belongs to it."""
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _number(value: int) -> bytes:
    return b"\x80" + value.to_bytes(11, "big")


def _record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body
