"""How evaluations last ended, for each tag and policy that was asked: what a change is told by."""

import sqlite3

import msgspec


class Ended(msgspec.Struct, frozen=True):
    """The end of an evaluation."""

    status: str
    final_action: str
    at: int
    """ms since the epoch."""


def keep(
    connection: sqlite3.Connection, *, digest: str, fulltag: str, policy_id: str, ended: Ended
) -> Ended | None:
    """The end before this one, where it was another one; writes nothing where it was the same."""
    place = (digest, fulltag, policy_id)
    row = connection.execute(
        "SELECT status, final_action, at FROM evaluations"
        " WHERE digest = ? AND fulltag = ? AND policy_id = ?",
        place,
    ).fetchone()
    if row is not None and row["final_action"] == ended.final_action:
        return None
    connection.execute(
        "INSERT INTO evaluations (digest, fulltag, policy_id, status, final_action, at)"
        " SELECT digest, ?, ?, ?, ?, ? FROM images WHERE digest = ?"
        " ON CONFLICT (digest, fulltag, policy_id) DO UPDATE SET status = excluded.status,"
        " final_action = excluded.final_action, at = excluded.at",
        (fulltag, policy_id, ended.status, ended.final_action, ended.at, digest),
    )
    return Ended(**dict(row)) if row is not None else None


def asked(connection: sqlite3.Connection, digest: str) -> list[tuple[str, str]]:
    """Tag and policy of all that is kept of an image, as long as there is that policy."""
    rows = connection.execute(
        "SELECT fulltag, policy_id FROM evaluations JOIN policies ON policies.id = policy_id"
        " WHERE digest = ? ORDER BY fulltag, policy_id",
        (digest,),
    ).fetchall()
    return [(row["fulltag"], row["policy_id"]) for row in rows]
