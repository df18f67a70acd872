"""How a use is written down: the same use is the same bytes, whoever records it."""

import msgspec

from shared.ports.usage import MAX_USE, Use

_DECODER = msgspec.json.Decoder(Use)


def write_use(use: Use) -> bytes | None:
    """Its bytes; None above MAX_USE."""
    written = msgspec.json.encode(use)
    return written if len(written) <= MAX_USE else None


def read_use(written: bytes) -> Use | None:
    """What was written, or None for bytes that are no use: others may write where these stand."""
    try:
        return _DECODER.decode(written)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
