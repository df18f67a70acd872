"""Big texts as they are kept: packed with zlib, which leaves a tenth of an image's facts."""

import zlib

MAX_UNPACKED = 256 * 1024**2
_LEVEL = 6


def pack(text: bytes) -> bytes:
    """As it is kept."""
    return zlib.compress(text, _LEVEL)


def unpack(packed: bytes) -> bytes:
    """The text again. Raises ValueError for what `pack` did not make."""
    decompressor = zlib.decompressobj()
    try:
        text = decompressor.decompress(packed, MAX_UNPACKED)
    except zlib.error as error:
        raise ValueError(f"cannot be unpacked: {error}") from error
    if not decompressor.eof:
        raise ValueError("cannot be unpacked: its end is missing, or it is too large")
    return text
