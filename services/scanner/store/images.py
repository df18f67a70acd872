"""Images in the database: the state machine not_analyzed -> analyzing -> analyzed | failed.

The table is the queue: what is not_analyzed waits, oldest first. Each function is one
transaction on the connection that `services.scanner.database.Database.run` gives it.
"""

import sqlite3
import uuid
from collections.abc import Sequence

import msgspec

from services.scanner.records import AnalysisStatus, Failure, Image, Metadata, Tag

KEPT_FAILURES = 1_000

_ALL = "SELECT * FROM images"


def find(connection: sqlite3.Connection, digest: str) -> Image | None:
    """The image of a digest."""
    row = connection.execute(f"{_ALL} WHERE digest = ?", (digest,)).fetchone()
    return _image(connection, row) if row else None


def newest_of_tag(connection: sqlite3.Connection, fulltag: str) -> Image | None:
    """The image that was submitted last under a tag."""
    row = connection.execute(
        f"{_ALL} JOIN tags USING (digest) WHERE fulltag = ? ORDER BY detected_at DESC LIMIT 1",
        (fulltag,),
    ).fetchone()
    return _image(connection, row) if row else None


def every(connection: sqlite3.Connection, status: AnalysisStatus | None = None) -> list[Image]:
    """All images, newest first; of one status when it is given."""
    rows = connection.execute(
        f"{_ALL} WHERE status = coalesce(?, status) ORDER BY created_at DESC", (status,)
    ).fetchall()
    return [_image(connection, row) for row in rows]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many images there are of each status."""
    rows = connection.execute("SELECT status, count(*) FROM images GROUP BY status").fetchall()
    return {str(status): int(count) for status, count in rows}


def facts(connection: sqlite3.Connection, digest: str) -> bytes | None:
    """The facts of an analysed image, as JSON."""
    row = connection.execute("SELECT facts FROM images WHERE digest = ?", (digest,)).fetchone()
    return row["facts"] if row else None


def add(
    connection: sqlite3.Connection,
    *,
    digest: str,
    image_id: str,
    repository: str,
    dockerfile: bytes | None,
    annotations: dict[str, str],
    now: int,
) -> None:
    """A new image, waiting for its analysis."""
    connection.execute(
        "INSERT INTO images (digest, image_id, repository, status, attempt, queued_at, created_at,"
        " last_updated, dockerfile, annotations) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)"
        " ON CONFLICT (digest) DO NOTHING",
        (
            digest,
            image_id,
            repository,
            AnalysisStatus.NOT_ANALYZED,
            now,
            now,
            now,
            dockerfile,
            msgspec.json.encode(annotations),
        ),
    )


def add_tag(connection: sqlite3.Connection, *, digest: str, fulltag: str, now: int) -> None:
    """Note that a digest was submitted under a tag."""
    connection.execute(
        "INSERT INTO tags (digest, fulltag, detected_at) VALUES (?, ?, ?)"
        " ON CONFLICT (digest, fulltag) DO UPDATE SET detected_at = excluded.detected_at",
        (digest, fulltag, now),
    )


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


def claim(connection: sqlite3.Connection, *, now: int) -> Image | None:
    """The image that waits longest, now analysing; None when none waits."""
    row = connection.execute(
        "UPDATE images SET status = ?, last_updated = ? WHERE digest ="
        " (SELECT digest FROM images WHERE status = ? ORDER BY queued_at, rowid LIMIT 1)"
        " RETURNING *",
        (AnalysisStatus.ANALYZING, now, AnalysisStatus.NOT_ANALYZED),
    ).fetchone()
    return _image(connection, row) if row else None


def finish(connection: sqlite3.Connection, image: Image, *, facts: bytes, now: int) -> bool:
    """The analysis of `image` ended well; False when it no longer counts."""
    return bool(
        connection.execute(
            "UPDATE images SET status = ?, analyzed_at = ?, last_updated = ?, facts = ?"
            " WHERE digest = ? AND attempt = ?",
            (AnalysisStatus.ANALYZED, now, now, facts, image.digest, image.attempt),
        ).rowcount
    )


def fail(connection: sqlite3.Connection, image: Image, *, reason: str, now: int) -> bool:
    """The analysis of `image` failed; leaves one event a tag. False: it no longer counts."""
    done = connection.execute(
        "UPDATE images SET status = ?, last_updated = ? WHERE digest = ? AND attempt = ?",
        (AnalysisStatus.FAILED, now, image.digest, image.attempt),
    ).rowcount
    if not done:
        return False
    connection.executemany(
        "INSERT INTO failures (id, fulltag, digest, reason, at)"
        " SELECT ?, fulltag, digest, ?, ? FROM tags WHERE digest = ? AND fulltag = ?",
        [(uuid.uuid4().hex, reason, now, image.digest, tag) for tag in _tags(connection, image)],
    )
    connection.execute(
        "DELETE FROM failures WHERE id NOT IN"
        " (SELECT id FROM failures ORDER BY at DESC, rowid DESC LIMIT ?)",
        (KEPT_FAILURES,),
    )
    return True


def requeue_interrupted(connection: sqlite3.Connection) -> int:
    """At the start: what a former process was analysing waits again; how many wait in all."""
    connection.execute(
        "UPDATE images SET status = ? WHERE status = ?",
        (AnalysisStatus.NOT_ANALYZED, AnalysisStatus.ANALYZING),
    )
    return counts(connection).get(AnalysisStatus.NOT_ANALYZED, 0)


def failures(
    connection: sqlite3.Connection, *, fulltag: str | None, offset: int, limit: int
) -> Sequence[Failure]:
    """Events of failed analyses, newest first; of one tag when it is given."""
    rows = connection.execute(
        "SELECT * FROM failures WHERE fulltag = coalesce(?, fulltag)"
        " ORDER BY at DESC, rowid DESC LIMIT ? OFFSET ?",
        (fulltag, limit, offset),
    ).fetchall()
    return [Failure(**dict(row)) for row in rows]


def _tags(connection: sqlite3.Connection, image: Image) -> list[str]:
    rows = connection.execute("SELECT fulltag FROM tags WHERE digest = ?", (image.digest,))
    return [row["fulltag"] for row in rows.fetchall()]


def _image(connection: sqlite3.Connection, row: sqlite3.Row) -> Image:
    tags = connection.execute(
        "SELECT fulltag, detected_at FROM tags WHERE digest = ? ORDER BY detected_at, fulltag",
        (row["digest"],),
    ).fetchall()
    return Image(
        digest=row["digest"],
        image_id=row["image_id"],
        repository=row["repository"],
        status=AnalysisStatus(row["status"]),
        attempt=row["attempt"],
        created_at=row["created_at"],
        last_updated=row["last_updated"],
        analyzed_at=row["analyzed_at"],
        dockerfile=row["dockerfile"],
        annotations=msgspec.json.decode(row["annotations"], type=dict[str, str]),
        metadata=msgspec.json.decode(row["facts"], type=Metadata) if row["facts"] else None,
        tags=tuple(Tag(tag["fulltag"], tag["detected_at"]) for tag in tags),
    )
