"""What the vulnerability data said of images, one answer an image: the newest.

Each function is one transaction.
"""

import sqlite3

import msgspec

from services.scanner.matching.finding import Matches
from services.scanner.records import AnalysisStatus
from services.scanner.store.packed import QUICK, pack, unpack

_decode = msgspec.json.Decoder(Matches).decode


def find(connection: sqlite3.Connection, digest: str, *, data: str) -> Matches | None:
    """What this very data said."""
    row = connection.execute(
        "SELECT matches FROM matches WHERE digest = ? AND data = ?", (digest, data)
    ).fetchone()
    return _decode(unpack(row["matches"])) if row else None


def keep(
    connection: sqlite3.Connection, *, digest: str, attempt: int, data: str, matches: Matches
) -> None:
    """In the stead of what was kept; nothing where the image was analysed again meanwhile."""
    connection.execute(
        "INSERT INTO matches (digest, data, matches)"
        " SELECT digest, ?, ? FROM images WHERE digest = ? AND attempt = ? AND status = ?"
        " ON CONFLICT (digest) DO UPDATE SET data = excluded.data, matches = excluded.matches",
        (data, pack(msgspec.json.encode(matches), QUICK), digest, attempt, AnalysisStatus.ANALYZED),
    )
