"""A PNG with a palette: pictures of pages have few colours, and half the bytes are enough."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TRUE_COLOUR = {2: 3, 6: 4}
"""Bytes of a pixel, by PNG's colour type."""

COLOURS = 256
ALIKE = 90
"""Squared distance of two colours that nobody tells apart."""

Colour = bytes


def smaller(png: bytes) -> bytes:
    """The picture in 256 colours: the most used ones that differ, each other as the nearest.

    Takes what browsers write: 8 bits, true colour, not interlaced.
    """
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", _chunk(png, b"IHDR"))
    if depth != 8 or kind not in TRUE_COLOUR or interlaced:
        raise ValueError("not a picture as a browser writes it")
    rows = list(_rows(png, width=width, size=TRUE_COLOUR[kind]))
    palette, index = _palette(Counter(colour for row in rows for colour in row))
    # Filters do not pay with a palette: each row is preceded by "none".
    body = b"".join(b"\0" + bytes(index[colour] for colour in row) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(body, 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_written(name, data) for name, data in chunks)


def _palette(used: Counter[Colour]) -> tuple[list[Colour], dict[Colour, int]]:
    """The colours that are kept, and which of them stands for each that is used."""
    palette: list[Colour] = []
    for colour, _ in used.most_common():
        # What is hardly another colour than a kept one leaves its place to one that is.
        if all(_apart(colour, kept) > ALIKE for kept in palette):
            palette.append(colour)
        if len(palette) == COLOURS:
            break

    def nearest(colour: Colour) -> int:
        return min(range(len(palette)), key=lambda place: _apart(colour, palette[place]))

    return palette, {colour: nearest(colour) for colour in used}


def _apart(one: Colour, other: Colour) -> int:
    return sum((mine - its) ** 2 for mine, its in zip(one, other, strict=True))


def _rows(png: bytes, *, width: int, size: int) -> Iterator[list[Colour]]:
    """The pixels, with the filters of PNG undone."""
    data = zlib.decompress(b"".join(_chunks(png, b"IDAT")))
    stride = width * size
    before = bytearray(stride)
    for start in range(0, len(data), stride + 1):
        row = bytearray(data[start + 1 : start + 1 + stride])
        _unfilter(data[start], row, before, size)
        yield [bytes(row[at : at + 3]) for at in range(0, stride, size)]
        before = row


def _unfilter(how: int, row: bytearray, above: bytearray, size: int) -> None:
    for at in range(len(row)):
        left = row[at - size] if at >= size else 0
        up = above[at]
        if how == 1:
            row[at] = (row[at] + left) & 255
        elif how == 2:
            row[at] = (row[at] + up) & 255
        elif how == 3:
            row[at] = (row[at] + (left + up) // 2) & 255
        elif how == 4:
            corner = above[at - size] if at >= size else 0
            row[at] = (row[at] + _paeth(left, up, corner)) & 255


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def _chunks(png: bytes, name: bytes) -> Iterator[bytes]:
    at = len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if png[at + 4 : at + 8] == name:
            yield png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(png: bytes, name: bytes) -> bytes:
    return next(_chunks(png, name))


def _written(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
