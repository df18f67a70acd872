"""What the vulnerability data said of images, one answer an image: the newest.

Each function is one transaction.
"""

import sqlite3

import msgspec

from services.scanner.matching.finding import WrittenMatches
from services.scanner.records import AnalysisStatus
from services.scanner.store.packed import QUICK, pack, unpack


def find(connection: sqlite3.Connection, digest: str, *, data: str) -> WrittenMatches | None:
    """What this very data said."""
    row = connection.execute(
        "SELECT matches FROM matches WHERE digest = ? AND data = ?", (digest, data)
    ).fetchone()
    return WrittenMatches(data, msgspec.Raw(unpack(row["matches"]))) if row else None


def keep(
    connection: sqlite3.Connection, *, digest: str, attempt: int, data: str, matches: WrittenMatches
) -> None:
    """In the stead of what was kept; nothing where the image was analysed again meanwhile."""
    connection.execute(
        "INSERT INTO matches (digest, data, matches)"
        " SELECT digest, ?, ? FROM images WHERE digest = ? AND attempt = ? AND status = ?"
        " ON CONFLICT (digest) DO UPDATE SET data = excluded.data, matches = excluded.matches",
        (data, pack(bytes(matches.text), QUICK), digest, attempt, AnalysisStatus.ANALYZED),
    )
