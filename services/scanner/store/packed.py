"""Big texts as they are kept: packed with zlib, which leaves a tenth of an image's facts."""

import zlib

MAX_UNPACKED = 256 * 1024**2
THOROUGH = 6
QUICK = 1
"""For what is written for every image whenever the vulnerability data is another: a third of the
time, for half as much again on the disk."""


def pack(text: bytes, level: int = THOROUGH) -> bytes:
    """As it is kept."""
    return zlib.compress(text, level)


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
