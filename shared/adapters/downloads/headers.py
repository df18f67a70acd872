"""What a server says of a file in the heads of its answers, and what is believed of it."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from shared.adapters.downloads.limits import MAX_HEADER
from shared.adapters.downloads.partial import Note

# RFC 9110, 8.8.3: a weak tag begins with W/.
_STRONG = re.compile(r'"[!#-~]{1,250}"')
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")

# Google Cloud Storage (x-goog-hash: crc32c=..., md5=...; no md5 of objects that were put together
# from several) and RFC 9530 (Repr-Digest: sha-256=:...:). Both are of the whole file, also where
# a part of it is sent. CRC32C is not among Python's own hashes.
_KNOWN = {"md5": ("md5", 16), "sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}


def note_of(url: str, headers: Mapping[str, str], *, length: int | None) -> Note:
    """Of an answer that sends the whole file."""
    last_modified = headers.get("Last-Modified", "")[:MAX_HEADER]
    return Note(
        url=url,
        etag=strong_etag(headers),
        last_modified=last_modified,
        modified=milliseconds(last_modified),
        length=length,
        hashes=dict(_hashes(headers)),
    )


def strong_etag(headers: Mapping[str, str]) -> str:
    """The ETag, if it promises the same bytes."""
    etag = headers.get("ETag", "").strip()
    return etag if _STRONG.fullmatch(etag) else ""


def range_of(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """(the first byte that is sent, the length of the whole file) of Content-Range."""
    found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return (int(found[1]), int(found[3])) if found else None


def milliseconds(date: str) -> int | None:
    """An HTTP date since the epoch; None: it is none."""
    try:
        moment = parsedate_to_datetime(date)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, TypeError, OverflowError):
        return None


def _hashes(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    # The bytes of Repr-Digest stand between colons, those of x-goog-hash do not.
    said = f"{headers.get('x-goog-hash', '')},{headers.get('Repr-Digest', '')}"
    found = []
    for part in said[: 4 * MAX_HEADER].split(","):
        kind, _, text = part.strip().partition("=")
        name, size = _KNOWN.get(kind.lower(), ("", 0))
        try:
            digest = base64.b64decode(text.strip(":"), validate=True)
        except (binascii.Error, ValueError):
            continue
        if name and len(digest) == size:
            found.append((name, digest.hex()))
    return found
