"""Policy bundles in the database; at most one is active. Each function is one transaction."""

import sqlite3
from collections.abc import Sequence

from services.scanner.records import Policy


def find(connection: sqlite3.Connection, policy_id: str) -> Policy | None:
    """The bundle of an id."""
    row = connection.execute("SELECT * FROM policies WHERE id = ?", (policy_id,)).fetchone()
    return _policy(row) if row else None


def active(connection: sqlite3.Connection) -> Policy | None:
    """The bundle that is used when none is named."""
    row = connection.execute("SELECT * FROM policies WHERE active").fetchone()
    return _policy(row) if row else None


def every(connection: sqlite3.Connection) -> Sequence[Policy]:
    """All bundles, oldest first."""
    rows = connection.execute("SELECT * FROM policies ORDER BY created_at, id").fetchall()
    return [_policy(row) for row in rows]


def put(
    connection: sqlite3.Connection,
    *,
    policy_id: str,
    name: str,
    bundle: bytes,
    now: int,
    active: bool | None = None,
) -> None:
    """Write a bundle. `active` None leaves it as it is, and a new one inactive."""
    if active:
        connection.execute("UPDATE policies SET active = 0")
    connection.execute(
        "INSERT INTO policies (id, name, bundle, active, created_at, last_updated)"
        " VALUES (:id, :name, :bundle, coalesce(:active, 0), :now, :now)"
        " ON CONFLICT (id) DO UPDATE SET name = :name, bundle = :bundle, last_updated = :now,"
        " active = coalesce(:active, active)",
        {"id": policy_id, "name": name, "bundle": bundle, "active": active, "now": now},
    )


def delete(connection: sqlite3.Connection, policy_id: str) -> None:
    """Remove a bundle."""
    connection.execute("DELETE FROM policies WHERE id = ?", (policy_id,))


def _policy(row: sqlite3.Row) -> Policy:
    return Policy(**{**dict(row), "active": bool(row["active"])})
