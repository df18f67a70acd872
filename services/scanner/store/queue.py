"""The analyses' queue: the state machine not_analyzed -> analyzing -> analyzed | failed.

The table of images is the queue: what is not_analyzed waits, oldest first, what nobody asked for
behind all else. Each function is one transaction on the connection that `Database.run` gives it.
"""

import sqlite3

import msgspec

from services.scanner.records import (
    FACTS_VERSION,
    AnalysisStatus,
    EventType,
    Image,
    Metadata,
)
from services.scanner.store import events
from services.scanner.store.images import counts, image_of, tags
from services.scanner.store.packed import pack


def claim(connection: sqlite3.Connection, *, now: int) -> Image | None:
    """The image that waits longest, now analysing; None when none waits."""
    row = connection.execute(
        "UPDATE images SET status = ?, last_updated = ? WHERE digest ="
        " (SELECT digest FROM images WHERE status = ?"
        " ORDER BY unasked, queued_at, last_used DESC, rowid LIMIT 1)"
        " RETURNING *",
        (AnalysisStatus.ANALYZING, now, AnalysisStatus.NOT_ANALYZED),
    ).fetchone()
    return image_of(connection, row) if row else None


def finish(connection: sqlite3.Connection, image: Image, *, facts: bytes, now: int) -> bool:
    """The analysis of `image` ended well; False when it no longer counts."""
    metadata = msgspec.json.decode(facts, type=Metadata)
    done = connection.execute(
        "UPDATE images SET status = ?, unasked = 0, analyzed_at = ?, last_updated = ?, facts = ?,"
        " facts_version = ?, metadata = ?, judged_by = NULL WHERE digest = ? AND attempt = ?",
        (
            AnalysisStatus.ANALYZED,
            *(now, now),
            pack(facts),
            FACTS_VERSION,
            msgspec.json.encode(metadata),
            *(image.digest, image.attempt),
        ),
    ).rowcount
    if done:
        connection.execute("DELETE FROM matches WHERE digest = ?", (image.digest,))
    return bool(done)


def fail(connection: sqlite3.Connection, image: Image, *, reason: str, now: int) -> bool:
    """The analysis of `image` failed; leaves one event a tag. False: it no longer counts."""
    done = connection.execute(
        "UPDATE images SET status = ?, unasked = 0, last_updated = ?"
        " WHERE digest = ? AND attempt = ?",
        (AnalysisStatus.FAILED, now, image.digest, image.attempt),
    ).rowcount
    if not done:
        return False
    for tag in tags(connection, image.digest):
        events.add(
            connection,
            kind=EventType.ANALYSIS_FAILED,
            fulltag=tag.fulltag,
            digest=image.digest,
            details={"msg": reason},
            now=now,
        )
    return True


def analyse_again(
    connection: sqlite3.Connection,
    *,
    digest: str,
    repository: str,
    dockerfile: bytes | None,
    now: int,
) -> None:
    """Queue an image once more; an analysis that is running no longer counts."""
    connection.execute(
        "UPDATE images SET status = ?, attempt = attempt + 1, repository = ?, queued_at = ?,"
        " last_updated = ?, dockerfile = coalesce(?, dockerfile) WHERE digest = ?",
        (AnalysisStatus.NOT_ANALYZED, repository, now, now, dockerfile, digest),
    )


def requeue(connection: sqlite3.Connection) -> int:
    """At the start: what a former process was analysing waits again, and behind all else what
    was analysed for facts of an older version. How many wait in all."""
    connection.execute(
        "UPDATE images SET status = ? WHERE status = ?",
        (AnalysisStatus.NOT_ANALYZED, AnalysisStatus.ANALYZING),
    )
    connection.execute(
        "UPDATE images SET status = ?, unasked = 1, attempt = attempt + 1"
        " WHERE status = ? AND facts_version < ?",
        (AnalysisStatus.NOT_ANALYZED, AnalysisStatus.ANALYZED, FACTS_VERSION),
    )
    return counts(connection).get(AnalysisStatus.NOT_ANALYZED, 0)


def oldest_wait(connection: sqlite3.Connection) -> int | None:
    """Since when the image waits that somebody submitted first (ms since the epoch)."""
    (queued,) = connection.execute(
        "SELECT min(queued_at) FROM images WHERE status = ? AND NOT unasked",
        (AnalysisStatus.NOT_ANALYZED,),
    ).fetchone()
    return None if queued is None else int(queued)
