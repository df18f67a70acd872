"""Notices that are to be sent: written in the transaction of what they tell, gone when taken."""

import sqlite3
import uuid

import msgspec

from services.scanner.store.packed import pack, unpack

KEPT = 10_000
"""The newest; who takes none of so many finds out without them."""


class Outgoing(msgspec.Struct, frozen=True):
    """A notice as it waits."""

    id: str
    kind: str
    body: bytes
    created_at: int


def add(connection: sqlite3.Connection, *, kind: str, body: bytes, urgent: bool, now: int) -> None:
    """To be sent; `urgent` before all that are not."""
    connection.execute(
        "INSERT INTO outbox (id, kind, body, urgent, created_at) VALUES (?, ?, ?, ?, ?)",
        (uuid.uuid4().hex, kind, pack(body), urgent, now),
    )


def first(connection: sqlite3.Connection) -> Outgoing | None:
    """The one to be sent next."""
    row = connection.execute("SELECT * FROM outbox ORDER BY urgent DESC, rowid LIMIT 1").fetchone()
    if row is None:
        return None
    return Outgoing(row["id"], row["kind"], unpack(row["body"]), row["created_at"])


def remove(connection: sqlite3.Connection, notice: Outgoing) -> None:
    """It was taken, or never will be."""
    connection.execute("DELETE FROM outbox WHERE id = ?", (notice.id,))


def forget(connection: sqlite3.Connection, *, before: int) -> int:
    """Those older than `before` (ms since the epoch), and the oldest of too many; how many."""
    old = connection.execute("DELETE FROM outbox WHERE created_at < ?", (before,)).rowcount
    many = connection.execute(
        "DELETE FROM outbox WHERE rowid IN"
        " (SELECT rowid FROM outbox ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
        (KEPT,),
    ).rowcount
    return old + many


def waiting(connection: sqlite3.Connection) -> int:
    """How many there are."""
    (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)
