"""Events that people can look up: analyses that failed, evaluations that turned."""

import sqlite3
import uuid
from collections.abc import Sequence

import msgspec

from services.scanner.records import Event, EventType
from services.scanner.store.packed import pack, unpack

KEPT = 1_000
"""Of each type, the newest."""


def add(
    connection: sqlite3.Connection,
    *,
    kind: EventType,
    fulltag: str,
    digest: str,
    details: object,
    now: int,
) -> None:
    """Keep an event, and forget the oldest of its type beyond `KEPT`."""
    connection.execute(
        "INSERT INTO events (id, type, fulltag, digest, details, at) VALUES (?, ?, ?, ?, ?, ?)",
        (uuid.uuid4().hex, kind, fulltag, digest, pack(msgspec.json.encode(details)), now),
    )
    connection.execute(
        "DELETE FROM events WHERE rowid IN (SELECT rowid FROM events WHERE type = ?"
        " ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        (kind, KEPT),
    )


def page(
    connection: sqlite3.Connection,
    *,
    kinds: Sequence[EventType],
    fulltag: str | None,
    offset: int,
    limit: int,
) -> list[Event]:
    """The newest first; of one tag when it is given."""
    rows = connection.execute(
        "SELECT * FROM events WHERE type IN (SELECT value FROM json_each(?))"
        " AND fulltag = coalesce(?, fulltag) ORDER BY at DESC, rowid DESC LIMIT ? OFFSET ?",
        (msgspec.json.encode(kinds).decode(), fulltag, limit, offset),
    ).fetchall()
    return [
        Event(
            id=row["id"],
            type=EventType(row["type"]),
            fulltag=row["fulltag"],
            digest=row["digest"],
            details=msgspec.Raw(unpack(row["details"])),
            at=row["at"],
        )
        for row in rows
    ]
