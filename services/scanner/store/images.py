"""Images in the database: found, added, forgotten. How they are analysed: queue.py.

Each function is one transaction on the connection that `Database.run` gives it.
"""

import sqlite3

import msgspec

from services.scanner.records import AnalysisStatus, Image, Metadata, Tag
from services.scanner.store.packed import unpack

USED_TO = 3_600_000
"""ms: so exactly is it kept when an image was used last. A check writes nothing otherwise."""

_ALL = (
    "SELECT digest, image_id, repository, status, attempt, created_at, last_updated, analyzed_at,"
    " last_used, dockerfile, annotations, metadata FROM images"
)
"""Without the facts: they are large."""


def find(connection: sqlite3.Connection, digest: str) -> Image | None:
    """The image of a digest."""
    row = connection.execute(f"{_ALL} WHERE digest = ?", (digest,)).fetchone()
    return image_of(connection, row) if row else None


def of_id(connection: sqlite3.Connection, image_id: str) -> list[Image]:
    """The images with a config of this digest, the newest first; at most ten."""
    rows = connection.execute(
        f"{_ALL} WHERE image_id = ? ORDER BY created_at DESC, digest LIMIT 10", (image_id,)
    ).fetchall()
    return [image_of(connection, row) for row in rows]


def newest_of_tag(connection: sqlite3.Connection, fulltag: str) -> Image | None:
    """The image that was submitted last under a tag."""
    row = connection.execute(
        f"{_ALL} JOIN tags USING (digest) WHERE fulltag = ? ORDER BY detected_at DESC LIMIT 1",
        (fulltag,),
    ).fetchone()
    return image_of(connection, row) if row else None


def page(
    connection: sqlite3.Connection,
    *,
    after: Image | None = None,
    status: AnalysisStatus | None = None,
    limit: int = 100,
) -> list[Image]:
    """The newest images, or those behind `after`; of one status when it is given."""
    place = (after.created_at, after.digest) if after else (2**62, "")
    rows = connection.execute(
        f"{_ALL} WHERE (created_at, digest) < (?, ?) AND status = coalesce(?, status)"
        " ORDER BY created_at DESC, digest DESC LIMIT ?",
        (*place, status, limit),
    ).fetchall()
    return [image_of(connection, row) for row in rows]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many images there are of each status."""
    rows = connection.execute("SELECT status, count(*) FROM images GROUP BY status").fetchall()
    return {str(status): int(count) for status, count in rows}


def facts(connection: sqlite3.Connection, digest: str) -> bytes | None:
    """The facts of an analysed image, as JSON."""
    row = connection.execute("SELECT facts FROM images WHERE digest = ?", (digest,)).fetchone()
    return unpack(row["facts"]) if row and row["facts"] else None


def use(connection: sqlite3.Connection, digest: str, *, now: int) -> None:
    """Somebody asked about it."""
    connection.execute(
        "UPDATE images SET last_used = ? WHERE digest = ? AND last_used <= ?",
        (now, digest, now - USED_TO),
    )


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
        " last_updated, last_used, dockerfile, annotations)"
        " VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (digest) DO NOTHING",
        (
            digest,
            image_id,
            repository,
            AnalysisStatus.NOT_ANALYZED,
            *(now, now, now, now),
            dockerfile,
            msgspec.json.encode(annotations),
        ),
    )


def add_tag(connection: sqlite3.Connection, *, digest: str, fulltag: str, now: int) -> None:
    """Note that a digest was submitted under a tag: from now on somebody waits for its analysis."""
    connection.execute(
        "INSERT INTO tags (digest, fulltag, detected_at) VALUES (?, ?, ?)"
        " ON CONFLICT (digest, fulltag) DO UPDATE SET detected_at = excluded.detected_at",
        (digest, fulltag, now),
    )
    connection.execute("UPDATE images SET unasked = 0 WHERE digest = ? AND unasked", (digest,))


def delete(connection: sqlite3.Connection, digest: str) -> bool:
    """Forget an image with all that belongs to it, its events too."""
    connection.execute("DELETE FROM events WHERE digest = ?", (digest,))
    return bool(connection.execute("DELETE FROM images WHERE digest = ?", (digest,)).rowcount)


def outdated(
    connection: sqlite3.Connection, *, data: str, after: Image | None = None, limit: int = 50
) -> list[Image]:
    """Analysed images whose evaluations were not looked at by `data`, those used last first, or
    those behind `after`."""
    place = (after.last_used, after.digest) if after else (2**62, "")
    rows = connection.execute(
        f"{_ALL} WHERE (last_used, digest) < (?, ?) AND status = ? AND judged_by IS NOT ?"
        " ORDER BY last_used DESC, digest DESC LIMIT ?",
        (*place, AnalysisStatus.ANALYZED, data, limit),
    ).fetchall()
    return [image_of(connection, row) for row in rows]


def judged(connection: sqlite3.Connection, image: Image, *, data: str) -> None:
    """All evaluations of this analysis were looked at by `data`."""
    connection.execute(
        "UPDATE images SET judged_by = ? WHERE digest = ? AND attempt = ?",
        (data, image.digest, image.attempt),
    )


def forget_unused(connection: sqlite3.Connection, *, before: int | None, limit: int) -> int:
    """Remove the images that were used least recently, before a time (ms since the epoch) if one
    is given; none that waits or is being analysed. How many."""
    rows = connection.execute(
        "SELECT digest FROM images WHERE status IN (?, ?) AND last_used < ?"
        " ORDER BY last_used, digest LIMIT ?",
        (AnalysisStatus.ANALYZED, AnalysisStatus.FAILED, before or 2**62, limit),
    ).fetchall()
    return sum(delete(connection, row["digest"]) for row in rows)


def tags(connection: sqlite3.Connection, digest: str) -> tuple[Tag, ...]:
    """The tags it was submitted under, the oldest first."""
    rows = connection.execute(
        "SELECT fulltag, detected_at FROM tags WHERE digest = ? ORDER BY detected_at, fulltag",
        (digest,),
    ).fetchall()
    return tuple(Tag(row["fulltag"], row["detected_at"]) for row in rows)


def image_of(connection: sqlite3.Connection, row: sqlite3.Row) -> Image:
    """The image of a row of the table, with its tags."""
    metadata = row["metadata"]
    return Image(
        digest=row["digest"],
        image_id=row["image_id"],
        repository=row["repository"],
        status=AnalysisStatus(row["status"]),
        attempt=row["attempt"],
        created_at=row["created_at"],
        last_updated=row["last_updated"],
        analyzed_at=row["analyzed_at"],
        last_used=row["last_used"],
        dockerfile=row["dockerfile"],
        annotations=msgspec.json.decode(row["annotations"], type=dict[str, str]),
        metadata=msgspec.json.decode(metadata, type=Metadata) if metadata else None,
        tags=tags(connection, row["digest"]),
    )
