"""The tables, and the way from those of older scanners to them.

Each step is one transaction: a file is of the one version or of the other, whenever it was left.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from services.scanner.store.packed import pack
from shared.domain.errors import InvalidSettings

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE images (
    digest TEXT PRIMARY KEY,
    image_id TEXT NOT NULL,
    repository TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    unasked INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_updated INTEGER NOT NULL,
    analyzed_at INTEGER,
    last_used INTEGER NOT NULL,
    dockerfile BLOB,
    annotations BLOB NOT NULL,
    metadata BLOB,
    facts BLOB,
    facts_version INTEGER,
    judged_by TEXT
) STRICT;
CREATE INDEX images_by_status ON images (status, unasked, queued_at);
CREATE INDEX images_by_age ON images (created_at, digest);
CREATE INDEX images_by_use ON images (last_used, digest);
CREATE INDEX images_by_id ON images (image_id);
CREATE TABLE tags (
    digest TEXT NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
    fulltag TEXT NOT NULL,
    detected_at INTEGER NOT NULL,
    PRIMARY KEY (digest, fulltag)
) STRICT;
CREATE INDEX tags_by_name ON tags (fulltag, detected_at);
CREATE TABLE matches (
    digest TEXT PRIMARY KEY REFERENCES images (digest) ON DELETE CASCADE,
    data TEXT NOT NULL,
    matches BLOB NOT NULL
) STRICT;
CREATE TABLE evaluations (
    digest TEXT NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
    fulltag TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    status TEXT NOT NULL,
    final_action TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (digest, fulltag, policy_id)
) STRICT;
CREATE TABLE policies (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    bundle BLOB NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_updated INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_active_policy ON policies (active) WHERE active;
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    fulltag TEXT NOT NULL,
    digest TEXT NOT NULL,
    details BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_tag ON events (fulltag, at);
CREATE INDEX events_by_type ON events (type, at);
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    urgent INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
"""
"""`unasked`: nobody waits for this analysis. `judged_by`: the data by which all that is kept of
the image's evaluations was looked at; `last_used`: when somebody asked about it, to the hour."""

_FROM_1_TO_2 = (
    "INSERT INTO images (digest, image_id, repository, status, attempt, queued_at, created_at,"
    " last_updated, analyzed_at, last_used, dockerfile, annotations) SELECT digest, image_id,"
    " repository, status, attempt, queued_at, created_at, last_updated, analyzed_at, last_updated,"
    " dockerfile, annotations FROM old_images",
    "INSERT INTO tags SELECT * FROM old_tags",
    "INSERT INTO policies SELECT * FROM old_policies",
    "INSERT INTO events (id, type, fulltag, digest, details, at)"
    " SELECT id, 'user.image.analysis.failed', fulltag, digest, pack(json_object('msg', reason)),"
    " at FROM old_failures",
    "UPDATE images SET status = 'not_analyzed', unasked = 1, attempt = attempt + 1"
    " WHERE status = 'analyzed'",
)


def ensure_schema(connection: sqlite3.Connection, file: Path) -> None:
    """Make the tables, or change those of an older scanner. Raises InvalidSettings for a newer
    one's."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
    elif version > SCHEMA_VERSION or version not in {SCHEMA_VERSION, *_STEPS}:
        raise InvalidSettings(
            f"{file} has schema version {version}, this scanner knows {SCHEMA_VERSION}: use the "
            "newer imagegate, or move the file away to begin anew"
        )
    else:
        _climb(connection, version)
    _let_it_shrink(connection, file)


def _climb(connection: sqlite3.Connection, version: int) -> None:
    while version < SCHEMA_VERSION:
        # Its tables refer to each other; the old ones are dropped only behind the copy.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        try:
            _STEPS[version](connection)
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        finally:
            connection.execute("PRAGMA foreign_keys = ON")
        version += 1
        log.info("the scanner's database was brought up to date", extra={"schema": version})


def _from_1_to_2(connection: sqlite3.Connection) -> None:
    """Policies, tags and failures stay. Images stay too, their facts do not: they say nothing of
    what this scanner asks, so that what was analysed waits for its analysis again."""
    old = ("tags", "failures", "policies", "images")
    for table in old:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for index in ("images_by_status", "tags_by_name", "one_active_policy", "failures_by_tag"):
        connection.execute(f"DROP INDEX {index}")
    for statement in (*_SCHEMA.split(";"), *_FROM_1_TO_2):
        connection.execute(statement)
    for table in old:
        connection.execute(f"DROP TABLE old_{table}")


_STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _from_1_to_2}


def _let_it_shrink(connection: sqlite3.Connection, file: Path) -> None:
    """Once, for a file that was made without it: it needs as much room again, for a moment."""
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode:
        return
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        log.warning(
            "%s cannot be made to shrink (%s): there must be as much room on the disk as it takes;"
            " it is tried again at the next start",
            file,
            error,
        )


def add_functions(connection: sqlite3.Connection) -> None:
    """What the steps call from SQL."""
    connection.create_function("pack", 1, _pack, deterministic=True)


def _pack(text: str) -> bytes:
    return pack(text.encode())
