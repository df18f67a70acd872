"""A tar archive as Go's archive/tar reads it, which containerd, CRI-O, Docker and Syft all use.

Python's own reader takes another view of the same bytes in places that matter: it applies PAX
global headers to the files that follow, and ends at a single block of zeros. What one reader sees
and another does not is where a file can be hidden, so what Go refuses is refused here
(docs/design/scanner-facts.md).
"""

import re
from collections.abc import Iterator
from enum import Enum

import msgspec

from services.scanner.analysis.tape import Tape
from services.scanner.records import AnalysisFailed

BLOCK = 512
MAX_SPECIAL = 1024**2
"""Bytes of a long name, or of PAX records: Go reads no more."""

_ZEROS = bytes(BLOCK)
_OCTAL = re.compile(rb"[0-7]+")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,19}")
_SPARSE_MAP = "GNU.sparse.map"
_OVERLAY = re.compile(r"SCHILY\.xattr\.(?:trusted|user)\.overlay\.")


class Kind(Enum):
    """What an entry makes."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    FOLDER = b"5"
    FIFO = b"6"
    GLOBAL = b"g"
    """Nothing: PAX records for all that follows, which Go does not apply."""


_KINDS = {kind.value: kind for kind in Kind} | {b"S": Kind.FILE, b"\0": Kind.FILE}


class Entry(msgspec.Struct, frozen=True):
    """One file, link, folder or device."""

    name: str
    """As it stands; bytes that are no UTF-8 as surrogates."""
    kind: Kind
    link: str
    size: int
    """Bytes of the file, holes included."""
    offset: int
    """Where its bytes start in the unpacked layer."""
    sparse: bool = False


class _Header(msgspec.Struct):
    block: bytes
    name: str
    kind: bytes
    link: str
    size: int


class _Pending(msgspec.Struct):
    """What special entries say of the next one."""

    pax: dict[str, str] = {}
    name: str = ""
    link: str = ""


def entries(tape: Tape) -> Iterator[Entry]:
    """What the archive holds, up to its end mark; bytes behind it are not looked at.

    Raises AnalysisFailed where Go's reader would stop with an error.
    """
    pending = _Pending()
    while (header := _header(tape)) is not None:
        if header.kind in (b"x", b"g"):
            pending.pax = _records(_special(tape, header.size))
        elif header.kind in (b"L", b"K"):
            text = _text(_special(tape, header.size))
            if header.kind == b"L":
                pending.name = text
            else:
                pending.link = text
        if header.kind in b"xLK":
            continue
        yield from _entry(tape, header, pending)
        pending = _Pending()


def _entry(tape: Tape, header: _Header, pending: _Pending) -> Iterator[Entry]:
    pax = pending.pax
    if header.kind == b"g":
        yield Entry(pax.get("path") or header.name, Kind.GLOBAL, "", 0, tape.position)
        return
    kind = _KINDS.get(header.kind)
    if kind is None:
        raise AnalysisFailed(f"it has an entry of the unknown type {header.kind!r}")
    if any(_OVERLAY.match(key) for key in pax):
        raise AnalysisFailed(
            "it has marks of overlayfs (trusted.overlay), with which nodes show other files than "
            "were scanned"
        )
    name = pending.name or pax.get("path") or header.name
    if header.kind == b"\0" and name.endswith("/"):
        kind = Kind.FOLDER
    stored = _decimal(pax["size"]) if pax.get("size") else header.size
    name, size, sparse = _sparse(tape, header, pax, name, stored)
    link = pending.link or pax.get("linkpath") or header.link
    yield Entry(name, kind, link, size if kind is Kind.FILE else 0, tape.position, sparse)
    if kind is Kind.FILE:
        _pass_over(tape, stored)


def _sparse(
    tape: Tape, header: _Header, pax: dict[str, str], name: str, stored: int
) -> tuple[str, int, bool]:
    """Name and size of a file with holes, in each of GNU's four ways to write one."""
    if header.kind == b"S":
        _pass_over_map(tape, header.block)
        return name, _number(header.block[483:495]), True
    version = (pax.get("GNU.sparse.major", ""), pax.get("GNU.sparse.minor", ""))
    known = version in (("0", "0"), ("0", "1"), ("1", "0"))
    if not known and (any(version) or not pax.get(_SPARSE_MAP)):
        return name, stored, False
    size = pax.get("GNU.sparse.size") or pax.get("GNU.sparse.realsize")
    return pax.get("GNU.sparse.name") or name, _decimal(size) if size else stored, True


def _pass_over_map(tape: Tape, block: bytes) -> None:
    """The old way: blocks that continue the map stand before the data."""
    more = block[386 + 96]
    passed = 0
    while more:
        passed += BLOCK
        extension = tape.read(BLOCK)
        if len(extension) < BLOCK or passed > MAX_SPECIAL:
            raise AnalysisFailed("it ends in the middle of a sparse file's map")
        more = extension[504]


def _header(tape: Tape) -> _Header | None:
    """The next header; None at the end of the archive."""
    block = tape.read(BLOCK)
    if block == _ZEROS:
        block = tape.read(BLOCK)
        if block and block != _ZEROS:
            raise AnalysisFailed("it has a block of zeros where only its end may be")
        return None
    if not block:
        return None
    if len(block) < BLOCK:
        raise AnalysisFailed("it ends in the middle of an entry")
    _check_sum(block)
    name, prefix = _text(block[:100]), _prefix(block)
    size = _number(block[124:136])
    if size < 0:
        raise AnalysisFailed("it has an entry of less than no bytes")
    return _Header(
        block,
        f"{prefix}/{name}" if prefix else name,
        block[156:157],
        _text(block[157:257]),
        size,
    )


def _check_sum(block: bytes) -> None:
    said = _number(block[148:156], base256=False)
    plain = sum(block) - sum(block[148:156]) + 8 * 0x20
    if said != plain:
        high = sum(1 for byte in block[:148] + block[156:] if byte > 127)
        if said != plain - 256 * high:
            raise AnalysisFailed("it has an entry whose checksum is wrong")


def _prefix(block: bytes) -> str:
    """The part of a long name that stands elsewhere, by the header's own format."""
    magic = block[257:265]
    if magic.startswith(b"ustar\0"):
        return _text(block[345:476] if block[508:512] == b"tar\0" else block[345:500])
    if magic == b"ustar  \0" and any(_is_no_time(block[at : at + 12]) for at in (345, 357)):
        # Go before 1.8 wrote a prefix where GNU has two times.
        prefix = _text(block[345:500])
        return prefix if prefix.isascii() else ""
    return ""


def _is_no_time(field: bytes) -> bool:
    if not field[0]:
        return False
    try:
        _number(field)
    except AnalysisFailed:
        return True
    return False


def _special(tape: Tape, size: int) -> bytes:
    if size > MAX_SPECIAL:
        raise AnalysisFailed(f"it has a name or records of over {MAX_SPECIAL} bytes")
    body = tape.read(size)
    if len(body) < size:
        raise AnalysisFailed("it ends in the middle of an entry")
    tape.skip(-size % BLOCK)
    return body


def _pass_over(tape: Tape, size: int) -> None:
    if tape.skip(size) < size:
        raise AnalysisFailed("it ends in the middle of a file")
    tape.skip(-size % BLOCK)


def _records(body: bytes) -> dict[str, str]:
    """PAX records, `length key=value` and a newline each; of two of a key the last."""
    found: dict[str, str] = {}
    while body:
        length, space, rest = body.partition(b" ")
        size = _decimal(_decoded(length)) - len(length) - 1 if space else 0
        record, rest = rest[:size], rest[size:]
        key, equals, value = record[:-1].partition(b"=")
        if size < 1 or len(record) < size or record[-1:] != b"\n" or not (key and equals):
            raise AnalysisFailed("it has PAX records that cannot be read")
        name = _decoded(key)
        if b"\0" in (value if name in ("path", "linkpath", "uname", "gname") else key):
            raise AnalysisFailed("it has PAX records with a zero byte")
        if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            name = _SPARSE_MAP
        found[name] = _decoded(value)
        body = rest
    return found


def _number(field: bytes, *, base256: bool = True) -> int:
    """Octal, or base 256 when its first bit is set."""
    if base256 and field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
        if not -(2**63) <= value < 2**63:
            raise AnalysisFailed("it has a number over 64 bits")
        return value
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if not _OCTAL.fullmatch(digits):
        raise AnalysisFailed("it has a number that is none")
    return int(digits, 8)


def _decimal(text: str) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) < 0:
        raise AnalysisFailed(f"it has a size that is none: {text[:20]!r}")
    return int(text)


def _text(field: bytes) -> str:
    return _decoded(field.partition(b"\0")[0])


def _decoded(text: bytes) -> str:
    return text.decode(errors="surrogateescape")
